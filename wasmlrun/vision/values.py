"""Pictures that are in memory: the bytes of a file, an image of Pillow's, an array of numpy's."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from wasmlrun.support.errors import BadImage
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.support.records import Record
from wasmlrun.vision import decode
from wasmlrun.vision.source import ImageFile, ImageSource

if TYPE_CHECKING:
    import numpy as np

    ImageLike: TypeAlias = (
        str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | np.ndarray[Any, Any]
    )
    """A path, the bytes of a file, or pixels: u8, height × width, × 3 for RGB, × 4 for RGBA."""

UNNAMED = "image"


class ImageBytes(Record):
    """The bytes of an image file."""

    name: str
    data: bytes

    def encoded(self) -> bytes:
        """The bytes themselves, as they came."""
        return self.data

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Decode them. Raises BadImage."""
        return decode.decode(self.data, self.name, at_least=at_least, max_pixels=max_pixels)


class ImagePixels(Record):
    """An image of Pillow's, which stays as it is."""

    name: str
    image: Image.Image

    def encoded(self) -> bytes:
        """As a PNG. Raises BadImage."""
        stream = io.BytesIO()
        decode.finished(self.image, self.name).save(stream, "PNG", compress_level=1)
        return stream.getvalue()

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Upright and in RGB. Raises BadImage."""
        return decode.finished(self.image, self.name, max_pixels=max_pixels)


def source_of(image: ImageLike | ImageSource, name: str | None = None) -> ImageSource:
    """The source of whatever a program has for a picture; `name` is for messages.

    Raises:
        BadImage: an array of another shape or type than pictures have.
        TypeError: no picture at all.
    """
    if isinstance(image, (ImageFile, ImageBytes, ImagePixels)):
        return image
    if isinstance(image, (str, os.PathLike)):
        path = Path(image)
        # a file that is called - is a file here
        return ImageFile(f"./{path}" if str(path) == "-" else str(path))
    if isinstance(image, (bytes, bytearray, memoryview)):
        data = bytes(image)
        if not data:
            raise BadImage(f"image {name or UNNAMED} is empty")
        return ImageBytes(name or UNNAMED, data)
    if isinstance(image, Image.Image):
        return ImagePixels(name or getattr(image, "filename", "") or UNNAMED, image)
    if hasattr(image, "__array_interface__"):
        return ImagePixels(name or UNNAMED, _from_array(image, name or UNNAMED))
    raise TypeError(
        "an image is a path, the bytes of a file, a PIL.Image.Image or a numpy array, "
        f"not {type(image).__name__}"
    )


def _from_array(array: Any, name: str) -> Image.Image:
    shape, kind = tuple(array.shape), str(array.dtype)
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (3, 4))
    if kind != "uint8" or not fits or 0 in shape:
        raise BadImage(
            f"image {name} is an array of {list(shape)} {kind}",
            "an array is uint8, [height, width, 3] in RGB, [height, width, 4] in RGBA, "
            "or [height, width] in grey",
        )
    return Image.fromarray(array)
