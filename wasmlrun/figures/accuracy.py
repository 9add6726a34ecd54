"""How often a model is right: in all, among its first few, and class by class."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

_Z = 1.959963984540054
"""Of a normal distribution, 95 % lie within so many deviations."""


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    part: int
    of: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.part / self.of if self.of else None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the share of all such pictures lies, at 95 %, by Wilson's score."""
        if not self.of:
            return None
        share, square = self.part / self.of, _Z * _Z
        middle = (share + square / (2 * self.of)) / (1 + square / self.of)
        spread = math.sqrt(share * (1 - share) / self.of + square / (4 * self.of * self.of))
        half = _Z * spread / (1 + square / self.of)
        return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class, as the truth calls it."""

    name: str
    precision: Share
    """Of the pictures that were given this class, those that show it."""
    recall: Share
    """Of the pictures that show it, those that were given it."""

    @property
    def f1(self) -> float | None:
        """The harmonic mean of precision and recall; None where nothing tells."""
        both = self.precision.of + self.recall.of
        return 2 * self.recall.part / both if both else None


class Accuracy:
    """Counts; a picture that failed counts as wrong, for its class too, and for no other's."""

    def __init__(self) -> None:
        self.right = self.among = self.pictures = 0
        self.deepest = 0
        """How many guesses were looked at, at most 5."""
        self._shown: Counter[str] = Counter()
        self._given: Counter[str] = Counter()
        self._both: Counter[str] = Counter()

    def add(self, truth: str, given: str | None, rank: int | None, guesses: int) -> None:
        """A picture of the class `truth` was given the class `given`, None where it failed.

        `rank` is the right class's place among the `guesses`, from 0; None where it has none.
        """
        self.pictures += 1
        self._shown[truth] += 1
        self.deepest = max(self.deepest, min(guesses, 5))
        if given is not None:
            self._given[given] += 1
        if rank is not None and rank < 5:
            self.among += 1
            if rank == 0:
                self.right += 1
                self._both[truth] += 1

    @property
    def top1(self) -> Share:
        """The first guess is right."""
        return Share(self.right, self.pictures)

    @property
    def top5(self) -> Share | None:
        """One of the first five is; None where no row lists more than one."""
        return Share(self.among, self.pictures) if self.deepest > 1 else None

    def classes(self) -> list[ClassFigures]:
        """Those that some picture shows, in the order of their names."""
        return [
            ClassFigures(
                name,
                Share(self._both[name], self._given[name]),
                Share(self._both[name], shown),
            )
            for name, shown in sorted(self._shown.items())
        ]
