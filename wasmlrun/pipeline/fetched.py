"""Pictures that are named by an address: fetched with the care that models are, then as any other.

They are fetched before the work is forked off: what decodes pictures and runs guests has no
network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from wasmlrun.support.errors import BadImage, WasmlrunError
from wasmlrun.support.limits import MAX_IMAGE_BYTES, MAX_PIXELS
from wasmlrun.support.records import Record
from wasmlrun.vision.source import ImageSource

if TYPE_CHECKING:
    from PIL import Image

    from wasmlrun.models.download import Watcher


class FetchedImage(Record):
    """What came from an address: bytes, or the reason why there are none."""

    name: str
    data: bytes = b""
    failure: str | None = None
    hint: str | None = None

    def encoded(self) -> bytes:
        """The bytes that came. Raises BadImage."""
        if self.failure is not None:
            raise BadImage(self.failure, self.hint)
        return self.data

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Decode it. Raises BadImage."""
        from wasmlrun.vision import decode  # Pillow, which nothing needs before the first picture

        return decode.decode(self.encoded(), self.name, at_least=at_least, max_pixels=max_pixels)


def is_address(name: str) -> bool:
    """Whether a picture is to be fetched."""
    return re.match(r"https?://", name, re.IGNORECASE) is not None


def fetch_images(names: Sequence[str], watcher: Watcher) -> Mapping[str, ImageSource]:
    """Every picture that an address names, by it; one that cannot be had does not stop the rest."""
    return {name: _fetched(name, watcher) for name in dict.fromkeys(names) if is_address(name)}


def _fetched(address: str, watcher: Watcher) -> FetchedImage:
    import tempfile
    from pathlib import Path

    from wasmlrun.models.catalogue import RemoteFile
    from wasmlrun.models.connection import Transfer
    from wasmlrun.models.download import fetch
    from wasmlrun.models.sources import locate

    # there is no mirror of pictures, and a person waits
    transfer = Transfer(retries=1, most=MAX_IMAGE_BYTES)
    try:
        found = locate(address, transfer)
        file = RemoteFile(found.name or "picture", found.address)
        with tempfile.TemporaryDirectory(prefix="wasmlrun-picture-") as folder:
            path = Path(folder) / "picture"
            fetch(file, path, transfer, watcher, found.headers)
            data = path.read_bytes()
    except WasmlrunError as e:
        why = e.hint if e.hint is not None and "--sha256" not in e.hint else None
        if why is not None and "mirror" in why:
            why = "check the address and the network"
        elif "encryption" in e.message:
            why = "fetch it yourself and name the file, or use an https:// address"
        return FetchedImage(address, failure=e.message, hint=why)
    except OSError as e:
        return FetchedImage(address, failure=f"image {address} cannot be kept: {e.strerror}")
    if not data:
        return FetchedImage(address, failure=f"image {address} is empty")
    return FetchedImage(address, data)
