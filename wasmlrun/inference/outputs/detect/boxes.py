"""What was found: boxes in shares of the model's picture, and which of several are one thing."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.support.records import Record


class Boxes(Record):
    """Candidates, n of them, in shares of the model's picture."""

    corners: Array
    """[n, 4]: left, top, right, bottom."""
    scores: Array
    """[n], from 0 to 1."""
    classes: Array
    """[n], whole numbers."""
    points: Array | None = None
    """[n, k, 2]: x and y of each of k points, where the model finds some."""

    def at(self, chosen: Array | Sequence[int]) -> Boxes:
        """Some of them, in this order."""
        index = np.asarray(chosen)
        return Boxes(
            self.corners[index],
            self.scores[index],
            self.classes[index],
            None if self.points is None else self.points[index],
        )


def sigmoid(numbers: Array) -> Array:
    """From any number to one between 0 and 1."""
    found: Array = 1 / (1 + np.exp(-np.clip(numbers.astype(np.float32), -80, 80)))
    return found


def from_centres(centres: Array) -> Array:
    """[n, 4] of x, y, width, height as left, top, right, bottom."""
    half = centres[:, 2:4] / 2
    return np.concatenate([centres[:, :2] - half, centres[:, :2] + half], axis=1)


def apart(boxes: Boxes, overlap: float, most: int) -> Boxes:
    """The best of those that cover each other by more than `overlap`, best first, at most `most`.

    The overlap of two boxes of one class is what both have, divided by what either has.
    """
    order = np.argsort(-boxes.scores, kind="stable")
    kept: list[int] = []
    while order.size and len(kept) < most:
        best, order = int(order[0]), order[1:]
        kept.append(best)
        shared = _overlaps(boxes.corners[best], boxes.corners[order])
        order = order[(shared <= overlap) | (boxes.classes[order] != boxes.classes[best])]
    return boxes.at(kept) if kept else boxes.at(np.zeros(0, int))


def _overlaps(one: Array, others: Array) -> Array:
    low, high = np.maximum(one[:2], others[:, :2]), np.minimum(one[2:], others[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    either = (one[2:] - one[:2]).prod() + (others[:, 2:] - others[:, :2]).prod(1) - both
    found: Array = both / np.maximum(either, 1e-12)
    return found
