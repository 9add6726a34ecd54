"""Pictures among a model's outputs: their layout, and as files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from wasmlrun.inference.arrays import Array
from wasmlrun.support.errors import BadModel

if TYPE_CHECKING:
    from PIL import Image


def channels_last(array: Array, layout: str, kind: str, most: int) -> Array:
    """[height, width, channels] of one picture; without a layout the channels, at most `most`,
    are the side that is the smallest. Raises BadModel.
    """
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or 0 in array.shape:
        raise BadModel(f"{kind} wants one picture, the model gives {list(array.shape)}")
    if layout == "NCHW" or (not layout and array.shape[0] < min(array.shape[1:])):
        array = array.transpose(1, 2, 0)
    if array.shape[2] > most:
        raise BadModel(
            f"{kind} wants a picture of at most {most} channels, the model's has {array.shape[2]}",
            "--set output.layout=NCHW or NHWC says where the channels are",
        )
    return array


def png(image: Image.Image) -> bytes:
    """The picture as a PNG file."""
    stream = io.BytesIO()
    image.save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def as_file(image: Image.Image, suffix: str) -> bytes:
    """The picture as the file's suffix says: JPEG or WebP, else PNG."""
    stream = io.BytesIO()
    if suffix in (".jpg", ".jpeg"):
        image.convert("RGB").save(stream, "JPEG", quality=92)
    elif suffix == ".webp":
        image.save(stream, "WEBP", quality=90)
    else:
        return png(image)
    return stream.getvalue()
