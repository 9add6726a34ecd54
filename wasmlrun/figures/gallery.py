"""Which pictures to look at: the surest, the least sure, and the surest of the wrong ones."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

from wasmlrun.figures.judge import Verdict
from wasmlrun.figures.rows import Row

EACH = 12
"""Pictures of a kind."""


@dataclass(frozen=True, slots=True)
class Pick:
    """A picture and what was said of it."""

    row: Row
    verdict: Verdict | None


class Gallery:
    """Keeps the few pictures that stand out."""

    def __init__(self, each: int = EACH) -> None:
        self._each = each
        self._surest: list[_Entry] = []
        self._least: list[_Entry] = []
        self._wrong: list[_Entry] = []

    def add(self, row: Row, verdict: Verdict | None) -> None:
        """A picture with an answer."""
        pick, score = Pick(row, verdict), row.guesses[0].score
        self._keep(self._surest, score, pick)
        self._keep(self._least, -score, pick)
        if verdict is not None and not verdict.right:
            self._keep(self._wrong, score, pick)

    @property
    def surest(self) -> list[Pick]:
        """Highest first score first."""
        return _ordered(self._surest)

    @property
    def least_sure(self) -> list[Pick]:
        """Lowest first score first, without those that are among the surest."""
        surest = {entry.pick.row.image for entry in self._surest}
        return [pick for pick in _ordered(self._least) if pick.row.image not in surest]

    @property
    def wrong(self) -> list[Pick]:
        """The wrong ones with the highest scores."""
        return _ordered(self._wrong)

    def _keep(self, heap: list[_Entry], value: float, pick: Pick) -> None:
        entry = _Entry(value, pick)
        if len(heap) < self._each:
            heapq.heappush(heap, entry)
        elif heap[0] < entry:
            heapq.heapreplace(heap, entry)


@dataclass(frozen=True, slots=True)
class _Entry:
    value: float
    pick: Pick

    def __lt__(self, other: _Entry) -> bool:
        # equal scores in the order of their names, whatever the rows' order
        mine, theirs = self.pick.row.image, other.pick.row.image
        return (self.value, theirs) < (other.value, mine)


def _ordered(entries: list[_Entry]) -> list[Pick]:
    return [entry.pick for entry in sorted(entries, reverse=True)]
