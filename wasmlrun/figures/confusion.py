"""Which class is taken for which."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MOST = 24
"""Classes of a matrix that a person can still look at."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows are what pictures show, columns what they were taken for."""

    names: list[str]
    counts: list[list[int]]
    left_out: int
    """Pictures of, or taken for, classes that have no row."""


class Confusion:
    """Counts pairs; as many as occur are kept."""

    def __init__(self) -> None:
        self._pairs: Counter[tuple[str, str]] = Counter()

    def add(self, truth: str, given: str) -> None:
        """A picture of one class was given one."""
        self._pairs[truth, given] += 1

    def worst(self, most: int = MOST) -> list[tuple[str, str, int]]:
        """Truth, what it was taken for, and how often: the commonest mistakes first."""
        wrong = [(t, g, n) for (t, g), n in self._pairs.items() if t != g]
        return sorted(wrong, key=lambda found: (-found[2], found[0], found[1]))[:most]

    def matrix(self, most: int = MOST) -> Matrix:
        """All classes, or those that have most to do with mistakes."""
        mistakes: Counter[str] = Counter()
        for (truth, given), count in self._pairs.items():
            for name in (truth, given):
                mistakes[name] += count if truth != given else 0
        chosen = sorted(mistakes, key=lambda name: (-mistakes[name], name))[:most]
        names = sorted(chosen)
        at = {name: number for number, name in enumerate(names)}
        counts = [[0] * len(names) for _ in names]
        left_out = 0
        for (truth, given), count in self._pairs.items():
            if truth in at and given in at:
                counts[at[truth]][at[given]] += count
            else:
                left_out += count
        return Matrix(names, counts, left_out)
