"""A list of files, one path a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from wasmlrun.batch.item import Item, shown
from wasmlrun.support.errors import BadFile

_LONGEST = 1 << 16


def from_file(path: Path, source: str) -> Iterator[Item]:
    """The files that a list names, from the list's own folder on. Raises BadFile."""
    try:
        with path.open("rb") as lines:
            yield from _items(_lines(lines), path.parent, source)
    except OSError as e:
        raise BadFile(f"list {path} cannot be read: {e.strerror}") from e


def from_stdin() -> Iterator[Item]:
    """The files that standard input names, from the current folder on. Raises BadFile."""
    yield from _items(_lines(sys.stdin.buffer), Path(), "-")


def _lines(stream: BinaryIO) -> Iterator[str]:
    while line := stream.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise BadFile("a line of the list is too long for a path", "write one path a line")
        text = os.fsdecode(line.rstrip(b"\r\n"))
        if text:
            yield text


def _items(names: Iterable[str], folder: Path, source: str) -> Iterator[Item]:
    for name in names:
        path = folder / name
        yield Item(shown(str(path)), source, path)
