"""Pixels of any kind become RGB, part by part: only the result is as large as the picture."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from PIL import Image

_PART = 1 << 20
"""Pixels that are converted at once."""
_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def to_rgb(image: Image.Image, pillow: AbstractContextManager[None]) -> Image.Image:
    """The picture in mode RGB: alpha over white, 16 and 32 bits scaled down to 8.

    `pillow` is entered around Pillow's own calls, and around nothing else.
    """
    if image.mode.startswith("I") or image.mode == "F":
        return _in_parts(image, _shades(image, pillow), pillow)
    if image.mode in _ALPHA or "transparency" in image.info:
        return _in_parts(image, _over_white, pillow)
    with pillow:
        return image.convert("RGB")


def _in_parts(
    image: Image.Image,
    flat: Callable[[Image.Image], Image.Image],
    pillow: AbstractContextManager[None],
) -> Image.Image:
    """What `flat`, which only calls Pillow, makes of the parts, put together."""
    boxes = _boxes(*image.size)
    if len(boxes) == 1:
        with pillow:
            return flat(image)
    with pillow:
        whole = Image.new("RGB", image.size, None)
    for box in boxes:
        with pillow:
            whole.paste(flat(image.crop(box)), box)
    return whole


def _boxes(width: int, height: int) -> list[tuple[int, int, int, int]]:
    across = min(width, _PART)
    down = _PART // across
    return [
        (left, top, min(left + across, width), min(top + down, height))
        for top in range(0, height, down)
        for left in range(0, width, across)
    ]


def _over_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _shades(
    image: Image.Image, pillow: AbstractContextManager[None]
) -> Callable[[Image.Image], Image.Image]:
    """How 16- and 32-bit greyscale becomes 8 bits: scaled, not clipped as Pillow would."""
    low, high = _extremes(image, pillow)
    if low >= 0 and high <= 255 and not image.mode.startswith("I;16"):
        return lambda part: part.convert("F").convert("L").convert("RGB")
    if low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    factor = 255.0 / (high - low) if high > low else 0.0

    def scaled(part: Image.Image) -> Image.Image:
        deep = part.convert("F").point(lambda value: value * factor + (0.5 - low * factor))
        return deep.convert("L").convert("RGB")

    return scaled


def _extremes(image: Image.Image, pillow: AbstractContextManager[None]) -> tuple[float, float]:
    """The darkest and the brightest value."""
    lows: list[float] = []
    highs: list[float] = []
    for box in _boxes(*image.size):
        with pillow:
            low, high = image.crop(box).convert("F").getextrema()
        lows.append(float(low))  # type: ignore[arg-type]
        highs.append(float(high))  # type: ignore[arg-type]
    return min(lows), max(highs)
