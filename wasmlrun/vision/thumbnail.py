"""A picture made small: pixels alone, nothing of what the file said besides."""

from __future__ import annotations

import io

from PIL import Image

from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.vision.decode import decode

_QUALITY = 80


def thumbnail(data: bytes, name: str, side: int, *, max_pixels: int = MAX_PIXELS) -> bytes:
    """A JPEG file whose longer side has at most `side` pixels, upright, alpha over white.

    Raises:
        BadImage: not an image, damaged, truncated, or larger than `max_pixels`. MemoryError.
    """
    image = decode(data, name, at_least=side, max_pixels=max_pixels)
    # draft alone: what `thumbnail` of Pillow would read again is decoded already
    image.thumbnail((side, side), Image.Resampling.BILINEAR, reducing_gap=None)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
