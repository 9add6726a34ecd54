"""A folder with all that is beneath it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from wasmlrun.batch.item import Item, shown
from wasmlrun.support.errors import BadFile
from wasmlrun.vision.formats import SUFFIXES


def is_picture(name: str) -> bool:
    """Whether a file is a picture, as far as its name tells; others are left out."""
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122 - a name, no path


def pictures(folder: Path, source: str, *, allow_outside: bool) -> Iterator[Item]:
    """The pictures below a folder, in the order of their names, folder by folder.

    The names of one folder are in memory at a time, those of its parents besides. Links to folders
    are not followed; a link to a file may not lead out of the folder unless `allow_outside`.

    Raises:
        BadFile: a folder cannot be read.
    """
    within = None if allow_outside else folder
    waiting = [_entries(folder)]
    while waiting:
        try:
            name, is_folder = next(waiting[-1])
        except StopIteration:
            waiting.pop()
            continue
        if is_folder:
            waiting.append(_entries(Path(name)))
        elif is_picture(name):
            yield Item(shown(name), source, Path(name), within)


def _entries(folder: Path) -> Iterator[tuple[str, bool]]:
    """Names with their folder, sorted, and whether each is a folder itself."""
    try:
        with os.scandir(folder) as found:
            entries = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in found]
    except OSError as e:
        raise BadFile(f"folder {folder} cannot be read: {e.strerror}") from e
    entries.sort()
    return iter(entries)
