"""From the words of a command line to the pictures they mean, one after the other."""

from __future__ import annotations

import glob
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.parquet import pyarrow
from wasmlrun.batch.progress import Progress
from wasmlrun.batch.sources import folder, listed, reading
from wasmlrun.support.errors import BadFile
from wasmlrun.support.paths import exists, is_dir

STDIN = "-"
LISTS = (".txt", ".list")
Stream = Iterator[Item]
_SHARDS = re.compile(r"\{([0-9]{1,9})\.\.([0-9]{1,9})\}")


def check(words: Sequence[str]) -> None:
    """Whether every source is there. Raises BadFile for the first that is not, UsageFault for
    one that nothing installed here can read.
    """
    for word in words:
        if word.lower().endswith(".parquet"):
            pyarrow()
        if word == STDIN or exists(Path(word)):
            continue
        if not _is_pattern(word):
            raise BadFile(f"source {word} does not exist", "check the path")
        if next(_matches(word), None) is None:
            raise BadFile(f"source {word} matches no file", "check the pattern")


def expanded(words: Sequence[str]) -> list[str]:
    """The words, with shards written as `{000..011}` one by one, as WebDataset writes them."""
    found: list[str] = []
    for word in words:
        match = None if exists(Path(word)) else _SHARDS.search(word)
        if match is None:
            found.append(word)
            continue
        first, last = match[1], match[2]
        for number in range(int(first), int(last) + 1):
            found.append(f"{word[: match.start()]}{number:0{len(first)}}{word[match.end() :]}")
    return found


def pictures(words: Sequence[str], *, skip: int = 0, allow_outside: bool = False) -> Stream:
    """The pictures of all sources, one after the other; nothing is read ahead. The first `skip`
    need not have their bytes.

    Raises:
        BadFile: a source cannot be read.
    """
    given = 0
    for word in words:
        for item in _one(word, max(0, skip - given), allow_outside):
            given += 1
            yield item


def count_beside(words: Sequence[str], progress: Progress, *, allow_outside: bool) -> None:
    """Find out how many pictures there are, in a thread, where that can be done twice."""
    if STDIN in words:
        return

    def count() -> None:
        with suppress(BadFile):  # told where it matters
            progress.total = sum(
                1 for _ in pictures(words, skip=sys.maxsize, allow_outside=allow_outside)
            )

    threading.Thread(target=count, daemon=True).start()


def _one(word: str, skip: int, allow_outside: bool) -> Stream:
    path = Path(word)
    if word == STDIN:
        yield from listed.from_stdin()
    elif not exists(path) and _is_pattern(word):
        for name in sorted(_matches(word)):
            if not os.path.isdir(name):  # noqa: PTH112 - names, not paths: there may be many
                for item in _file(Path(name), word, skip):
                    skip = max(0, skip - 1)
                    yield item
    elif is_dir(path):
        yield from folder.pictures(path, word, allow_outside=allow_outside)
    else:
        yield from _file(path, word, skip)


def _file(path: Path, source: str, skip: int) -> Stream:
    if reading.suffix_of(path) is not None:
        yield from reading.pictures(path, shown(str(path)), skip)
    elif path.suffix.lower() in LISTS:
        yield from listed.from_file(path, source)
    else:
        yield Item(shown(str(path)), source, path)


def _is_pattern(word: str) -> bool:
    return glob.has_magic(word)


def _matches(pattern: str) -> Iterator[str]:
    return glob.iglob(pattern, recursive=True)  # noqa: PTH207 - as the user wrote it
