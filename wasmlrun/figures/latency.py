"""How long pictures took: percentiles of any number of times in little memory."""

from __future__ import annotations

import math
from collections import Counter

_STEP = 1.01
"""A bin's upper bound as a multiple of its lower: what a percentile is exact to."""


class Latency:
    """Times in milliseconds, counted in bins that are 1 % wide."""

    def __init__(self) -> None:
        self._bins: Counter[int] = Counter()
        self.count = 0
        self._sum = 0.0
        self.least = math.inf
        self.most = 0.0

    def add(self, milliseconds: float) -> None:
        """One more. What is no time is left out."""
        if milliseconds < 0:
            return
        self._bins[_bin(milliseconds)] += 1
        self.count += 1
        self._sum += milliseconds
        self.least = min(self.least, milliseconds)
        self.most = max(self.most, milliseconds)

    @property
    def mean(self) -> float:
        """Of all; 0 of none."""
        return self._sum / self.count if self.count else 0.0

    def percentile(self, share: float) -> float:
        """The time that this share of the pictures took at most, to 1 %; 0 of none."""
        wanted, seen = math.ceil(share * self.count), 0
        for number in sorted(self._bins):
            seen += self._bins[number]
            if seen >= wanted:
                return min(max(_middle(number), self.least), self.most)
        return 0.0

    def histogram(self, bars: int) -> list[tuple[float, float, int]]:
        """Lower bound, upper bound and count of bars that are equally wide as logarithms."""
        if not self.count:
            return []
        low, high = min(self._bins), max(self._bins) + 1
        width = max(1, math.ceil((high - low) / bars))
        found = []
        for first in range(low, high, width):
            count = sum(self._bins[n] for n in range(first, first + width))
            found.append((_STEP**first, _STEP ** (first + width), count))
        return found


def _bin(milliseconds: float) -> int:
    # a thousandth of a millisecond is as little as anything takes
    return math.floor(math.log(min(max(milliseconds, 1e-3), 1e12)) / math.log(_STEP))


def _middle(number: int) -> float:
    return float(_STEP ** (number + 0.5))
