"""A heat map over a picture: grey where it was looked at in vain, bright where it counted."""

from __future__ import annotations

import numpy as np
from PIL import Image

SIDE = 1024
"""Pixels of the drawn picture's longer side, at most."""
_COLOURS = ((10, 8, 30), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164))
"""From cold to hot, brighter at each step, so that it can be read without colours too."""
_SHARE = 0.6
"""How much of a pixel is the map's."""
_OUTSIDE = 0.35
"""How bright the part is that the model was not shown."""


def overlay(
    picture: Image.Image, box: tuple[float, float, float, float], heat: np.ndarray
) -> Image.Image:
    """The picture, in mode RGB, with the map over the part of it that the model was shown.

    `box` is that part in the picture's pixels: left, top, right, bottom; it may reach beyond the
    picture. `heat` is [rows, columns], from 0 (cold) to 1.
    """
    factor = min(1.0, SIDE / max(picture.size))
    width, height = picture.size
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    grey = picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0).convert("L")
    drawn = grey.convert("RGB").point(lambda value: value * _OUTSIDE)
    left, top, right, bottom = (round(edge * factor) for edge in box)
    shape = (max(1, right - left), max(1, bottom - top))
    seen = Image.new("L", shape)
    seen.paste(grey, (-left, -top))
    shown = Image.blend(seen.convert("RGB"), _coloured(heat).resize(shape), _SHARE)
    drawn.paste(shown, (left, top))
    return drawn


def _coloured(heat: np.ndarray) -> Image.Image:
    steps = np.linspace(0, 1, len(_COLOURS))
    channels = [np.interp(heat, steps, [c[n] for c in _COLOURS]) for n in range(3)]
    return Image.fromarray(np.stack(channels, axis=-1).astype(np.uint8), "RGB")
