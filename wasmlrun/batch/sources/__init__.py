"""Where the pictures come from: each kind of source is a stream of items in a fixed order."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.progress import Progress
from wasmlrun.batch.sources import folder, listed
from wasmlrun.support.errors import BadFile
from wasmlrun.support.paths import exists, is_dir

STDIN = "-"
LISTS = (".txt", ".list")
Stream = Iterator[Item]


def check(words: Sequence[str]) -> None:
    """Whether every source is there. Raises BadFile for the first that is not."""
    for word in words:
        if word == STDIN or exists(Path(word)):
            continue
        if not _is_pattern(word):
            raise BadFile(f"source {word} does not exist", "check the path")
        if next(_matches(word), None) is None:
            raise BadFile(f"source {word} matches no file", "check the pattern")


def stream(words: Sequence[str], *, allow_outside: bool = False) -> Stream:
    """The pictures of all sources, one after the other; nothing is read ahead.

    Raises:
        BadFile: a source cannot be read.
    """
    for word in words:
        yield from _one(word, allow_outside)


def count_beside(words: Sequence[str], progress: Progress, *, allow_outside: bool) -> None:
    """Find out how many pictures there are, in a thread, where that can be done twice."""
    if STDIN in words:
        return

    def count() -> None:
        with suppress(BadFile):  # told where it matters
            progress.total = sum(1 for _ in stream(words, allow_outside=allow_outside))

    threading.Thread(target=count, daemon=True).start()


def _one(word: str, allow_outside: bool) -> Stream:
    if word == STDIN:
        yield from listed.from_stdin()
        return
    path = Path(word)
    if not exists(path) and _is_pattern(word):
        for name in sorted(_matches(word)):
            if not os.path.isdir(name):  # noqa: PTH112 - names, not paths: there may be many
                yield Item(shown(name), word, Path(name))
        return
    if is_dir(path):
        yield from folder.pictures(path, word, allow_outside=allow_outside)
        return
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        yield Item(shown(word), word, path)
    else:
        yield from kind(path, word)


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word)


def _matches(pattern: str) -> Iterator[str]:
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 - as the user wrote it


_BY_SUFFIX: dict[str, Callable[[Path, str], Stream]] = dict.fromkeys(LISTS, listed.from_file)
"""What a file of this suffix holds; any other is a picture itself."""
