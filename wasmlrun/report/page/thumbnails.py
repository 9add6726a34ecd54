"""Small pictures for a page, of files that lie in one folder and nowhere else."""

from __future__ import annotations

import base64
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from wasmlrun.figures.truth import digest, ends
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadImage
from wasmlrun.support.limits import MAX_IMAGE_BYTES

SIDE = 320
"""Pixels of a thumbnail's longer side."""
CRASHED = "its decoder crashed"


class Thumbnails:
    """Finds a row's picture in a folder: of all ends of its name that are there, the longest."""

    def __init__(self, folder: Path | None, board: Board, crashed: Collection[str]) -> None:
        """`crashed` are tags of pictures that are not to be tried again."""
        self._folder = folder
        self._board = board
        self._crashed = crashed
        self._made: dict[str, tuple[str | None, str]] = {}

    def of(self, image: str) -> tuple[str | None, str]:
        """A `data:` address, or None and why there is none."""
        if image not in self._made:
            self._made[image] = self._make(image)
        return self._made[image]

    def _make(self, image: str) -> tuple[str | None, str]:
        if self._folder is None:
            return None, ""
        if tag(image) in self._crashed:
            return None, CRASHED
        data = self._read(image, self._folder)
        if data is None:
            return None, "not in the folder of pictures"
        from wasmlrun.vision.thumbnail import thumbnail

        try:
            with self._board.doing(Stage.IMAGE, tag(image)):
                small = thumbnail(data, image, SIDE)
        except BadImage:
            return None, "no picture that can be read"
        except MemoryError:
            return None, "it takes too much memory"
        return "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii"), ""

    def _read(self, image: str, folder: Path) -> bytes | None:
        for name in ends(image):
            if ".." in name.split("/"):
                continue
            # no such file, none that may be looked at, or no name of a file at all
            with suppress(OSError, ValueError):
                return beneath.read(folder / name, MAX_IMAGE_BYTES, within=folder)
        return None


def tag(image: str) -> str:
    """A picture in few characters, for a board that has no room for long names."""
    return f"{digest(image):016x}"
