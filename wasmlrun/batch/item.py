"""A picture on its way through a batch: what it is called, where it comes from, its bytes."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadImage, WasmlrunError
from wasmlrun.support.limits import MAX_IMAGE_BYTES
from wasmlrun.support.records import Record
from wasmlrun.vision.source import read_image


class Item(Record):
    """One picture of a source. It holds bytes only where its source cannot be asked for them
    later.
    """

    name: str
    """Its row's `image`; valid Unicode."""
    source: str
    """The source, as the command line names it."""
    path: Path | None = None
    """The file that it is read from."""
    within: Path | None = None
    """The folder that the path must not lead out of."""
    data: bytes | None = None
    """The bytes of an image file, where there is no path."""
    fault: WasmlrunError | None = None
    """Why there is no picture: a row of its own all the same."""

    @property
    def held(self) -> int:
        """Bytes of memory that it takes."""
        return len(self.data) if self.data is not None else 0

    def encoded(self) -> bytes:
        """The bytes of the image file. Raises BadImage, or the fault."""
        if self.fault is not None:
            raise self.fault
        if self.data is not None:
            if not self.data:
                raise BadImage(f"image {self.name} is empty")
            return self.data
        assert self.path is not None
        if self.within is None:
            # a file that is called - is a file here
            return read_image(f"./{self.path}" if str(self.path) == "-" else str(self.path))
        return self._read_within(self.path, self.within)

    def _read_within(self, path: Path, within: Path) -> bytes:
        try:
            data = beneath.read(path, MAX_IMAGE_BYTES, within=within)
        except beneath.Outside as e:
            raise BadImage(f"image {self.name} cannot be read: {e.strerror}", e.hint) from None
        except OSError as e:
            raise BadImage(f"image {self.name} cannot be read: {e.strerror}") from e
        if not data:
            raise BadImage(f"image {self.name} is empty")
        return data


def shown(name: str) -> str:
    """A name as text that every format can write: bytes that are no UTF-8 are shown as `\\xff`."""
    if name.isascii():
        return name
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
