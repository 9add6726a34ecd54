"""Whether scores are what they say: of the pictures with a score of 0.8, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass

BINS = 15
"""Of equal width from 0 to 1, as in the literature."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Pictures whose first score lies between two bounds, the upper one included."""

    low: float
    high: float
    count: int
    confidence: float
    """Their mean score."""
    accuracy: float
    """The share of them that are right."""


class Calibration:
    """Sums of scores and of right answers, by score."""

    def __init__(self, bins: int = BINS) -> None:
        self._counts = [0] * bins
        self._scores = [0.0] * bins
        self._right = [0] * bins
        self._strange = 0

    def add(self, score: float, right: bool) -> None:
        """A picture's first score, and whether the answer is right."""
        if not 0 <= score <= 1:
            self._strange += 1
            return
        at = bin_of(score, len(self._counts))
        self._counts[at] += 1
        self._scores[at] += score
        self._right[at] += right

    def bins(self) -> list[Bin]:
        """Those with pictures in them; none where a score is no share."""
        if self._strange:
            return []
        width = 1 / len(self._counts)
        return [
            Bin(at * width, (at + 1) * width, count, self._scores[at] / count, right / count)
            for at, (count, right) in enumerate(zip(self._counts, self._right, strict=True))
            if count
        ]

    @property
    def error(self) -> float | None:
        """The expected calibration error: the mean distance of confidence and accuracy."""
        found = self.bins()
        total = sum(b.count for b in found)
        if not total:
            return None
        return sum(b.count * abs(b.confidence - b.accuracy) for b in found) / total


def bin_of(score: float, bins: int) -> int:
    """The bin of a score from 0 to 1; one on a bound belongs to the lower bin."""
    at = int(score * bins)
    return at - 1 if at and (at >= bins or score <= at / bins) else at
