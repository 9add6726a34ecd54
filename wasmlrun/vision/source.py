"""Where a picture comes from: a source has a name for messages and gives bytes or pixels."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadImage
from wasmlrun.support.limits import MAX_IMAGE_BYTES, MAX_PIXELS
from wasmlrun.support.paths import exists
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from PIL import Image

STDIN = "-"


class ImageSource(Protocol):
    """A picture, from wherever."""

    @property
    def name(self) -> str:
        """What it is called in messages and answers."""

    def encoded(self) -> bytes:
        """As the bytes of an image file. Raises BadImage."""

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Its pixels, as `wasmlrun.vision.decode` has them. Raises BadImage."""


class ImageFile(Record):
    """A file by its name, or standard input for `-`."""

    name: str

    def encoded(self) -> bytes:
        """The file's bytes. Raises BadImage."""
        return read_image(self.name)

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Read and decode it. Raises BadImage."""
        from wasmlrun.vision import decode  # Pillow, which nothing needs before the first picture

        return decode.decode(self.encoded(), self.name, at_least=at_least, max_pixels=max_pixels)


class KeptImage:
    """A source that can be read once, kept to be read again."""

    def __init__(self, source: ImageSource) -> None:
        self.name = source.name
        self._source = source
        self._data: bytes | None = None

    def encoded(self) -> bytes:
        """What the source gave. Raises BadImage."""
        if self._data is None:
            self._data = self._source.encoded()
        return self._data

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Decode that. Raises BadImage."""
        from wasmlrun.vision import decode

        return decode.decode(self.encoded(), self.name, at_least=at_least, max_pixels=max_pixels)


def read_image(name: str) -> bytes:
    """The bytes of an image file, or of standard input for `-`.

    Raises:
        BadImage: there is no such file, it is a folder, unreadable or empty.
    """
    if name == STDIN:
        data = sys.stdin.buffer.read(MAX_IMAGE_BYTES + 1)
        if len(data) > MAX_IMAGE_BYTES:
            raise BadImage(f"standard input has more than the {MAX_IMAGE_BYTES} bytes of an image")
        if not data:
            raise BadImage(
                "standard input is empty", "pipe an image in: wasmlrun classify - < photo.jpg"
            )
        return data
    try:
        # also one end of a pipe, as in `wasmlrun classify <(curl …)`
        data = beneath.read(Path(name), MAX_IMAGE_BYTES, pipe=True)
    except FileNotFoundError:
        raise missing(name) from None
    except IsADirectoryError:
        raise BadImage(
            f"image {name} is a folder", f"name the files in it: {name.rstrip('/')}/*.jpg"
        ) from None
    except OSError as e:
        raise BadImage(f"image {name} cannot be read: {e.strerror}") from e
    except ValueError as e:  # a NUL in the name
        raise BadImage(f"image {name!r} cannot be read: {e}") from e
    if not data:
        raise BadImage(f"image {name} is empty")
    return data


def none_is_there(names: Sequence[str]) -> bool:
    """Whether every one of these is a file that does not exist."""
    return all(name != STDIN and not exists(Path(name)) for name in names)


def missing(name: str) -> BadImage:
    """The error for a file that is not there."""
    return BadImage(f"image {name} does not exist", "check the path")
