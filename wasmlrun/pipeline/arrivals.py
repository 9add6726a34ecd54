"""Pictures that arrive in a folder, found by looking at it again and again.

Looking works on every file system, network drives included, which do not tell of changes.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

PERIOD = 0.25
"""Seconds between two looks."""


class Arrivals:
    """The pictures of one folder that were not there, or were others, before."""

    def __init__(self, folder: Path, suffixes: frozenset[str]) -> None:
        """`suffixes` are those of pictures, in small letters with their point.

        What is there now has not arrived. Raises OSError when the folder cannot be read.
        """
        self._folder = folder
        self._suffixes = suffixes
        self._told = self._look()
        self._seen = self._told

    def look(self) -> list[str]:
        """What has arrived since it was called before, by name.

        A file has arrived when it was the same at two looks and is not empty: somebody may still
        write to one that grows. Raises OSError.
        """
        found = self._look()
        arrived = [
            name
            for name, state in found.items()
            if state == self._seen.get(name) and state != self._told.get(name) and state[0] > 0
        ]
        self._seen = found
        # what is gone is forgotten: it may come back
        self._told = {name: state for name, state in self._told.items() if name in found}
        self._told.update((name, found[name]) for name in arrived)
        return sorted(arrived)

    def _look(self) -> dict[str, tuple[int, int]]:
        """Size in bytes and time of change of each picture, by its path."""
        found = {}
        with os.scandir(self._folder) as entries:
            for entry in entries:
                # hidden files are those that a copy is not done with
                if entry.name.startswith(".") or Path(entry.name).suffix.lower() not in (
                    self._suffixes
                ):
                    continue
                try:
                    about = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # gone meanwhile
                    continue
                # a link may lead anywhere, and whoever may write here decides where
                if stat.S_ISREG(about.st_mode):
                    found[entry.path] = about.st_size, about.st_mtime_ns
        return found


def arriving(arrivals: Arrivals) -> Iterator[list[str]]:
    """Those of each look that found some, without end."""
    while True:
        time.sleep(PERIOD)
        names = arrivals.look()
        if names:
            yield names
