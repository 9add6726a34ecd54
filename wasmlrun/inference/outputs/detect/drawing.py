"""Boxes drawn on a picture."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image, ImageDraw, ImageFont


def drawn(picture: Image.Image, found: Sequence[Mapping[str, Any]]) -> Image.Image:
    """A copy with a frame, a name and the points of each; frames are as thick as the picture is
    large.
    """
    image = picture.copy()
    draw = ImageDraw.Draw(image)
    thick = max(2, round(max(image.size) / 300))
    font = ImageFont.load_default(max(10, round(max(image.size) / 50)))
    for one in found:
        colour = _colour(one["class"])
        left, top, right, bottom = one["box"]
        draw.rectangle((left, top, right, bottom), outline=colour, width=thick)
        for x, y in one.get("points", ()):
            draw.ellipse((x - thick, y - thick, x + thick, y + thick), fill=colour)
        text = f"{one['label']} {one['score']:.0%}"
        place = (max(left, 0) + thick, max(top, 0) + thick)
        draw.rectangle(draw.textbbox(place, text, font=font), fill=colour)
        draw.text(place, text, fill="black", font=font)
    return image


def _colour(number: int) -> tuple[int, ...]:
    hue = (0.33 + number * 0.381966) % 1
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.9, 1))
