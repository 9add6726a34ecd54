"""Names of classes, as people, folders and label files write them, and which of them mean one."""

from __future__ import annotations

from collections.abc import Iterable

from wasmlrun.support.errors import BadFile

MOST = 100_000
"""Different labels of one result; more are no classes."""


def plain(name: str) -> str:
    """Without what makes no difference: case, `_` and `-` for a space, spaces around."""
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def synonyms(name: str) -> set[str]:
    """The whole name and, as ImageNet's label files have them, what commas part."""
    return {part for part in map(plain, (name, *name.split(","))) if part}


class Vocabulary:
    """The labels that a result has, and which of them a name means.

    A name means the label that it is; if there is none, those that it shares a synonym with; and
    a whole number that is no label means the class of this index.
    """

    def __init__(self) -> None:
        self._whole: dict[str, set[str]] = {}
        self._part: dict[str, set[str]] = {}
        self._index: dict[int, set[str]] = {}
        self._known: set[tuple[int | None, str]] = set()
        self._meant: dict[str, frozenset[str]] = {}

    def add(self, index: int | None, label: str) -> None:
        """A label, and the index of its class. Raises BadFile when there are too many."""
        if (index, label) in self._known:
            return
        if len(self._known) >= MOST:
            raise BadFile(f"the result has more than {MOST} different labels")
        self._known.add((index, label))
        self._meant.clear()
        self._whole.setdefault(plain(label), set()).add(label)
        for part in synonyms(label):
            self._part.setdefault(part, set()).add(label)
        if index is not None:
            self._index.setdefault(index, set()).add(label)

    def meant(self, name: str) -> frozenset[str]:
        """The labels that a name means; none if it means none."""
        found = self._meant.get(name)
        if found is None:
            found = self._meant[name] = frozenset(self._find(name))
        return found

    def _find(self, name: str) -> Iterable[str]:
        whole = plain(name)
        if whole in self._whole:
            return self._whole[whole]
        shared = [self._part[part] for part in synonyms(name) if part in self._part]
        if shared:
            return set().union(*shared)
        number = int(whole) if whole.isascii() and whole.isdigit() and len(whole) < 10 else None
        return self._index.get(number, ()) if number is not None else ()
