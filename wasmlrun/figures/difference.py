"""Two results of the same pictures: where they agree, and what changed."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from wasmlrun.figures.judge import Judge
from wasmlrun.figures.mcnemar import McNemar, mcnemar
from wasmlrun.figures.names import MOST
from wasmlrun.figures.rows import Row, read_rows
from wasmlrun.figures.truth import Truth, digest
from wasmlrun.support.errors import BadFile

EXAMPLES = 20
"""Changed pictures that are named."""


class Change(NamedTuple):
    """A picture whose label changed; the surest change is the largest."""

    weight: float
    """The lower of the two scores: both were as sure as this of different things."""
    image: str
    before: str
    before_score: float
    after: str
    after_score: float


@dataclass(slots=True)
class Difference:
    """What two results have in common, and what not."""

    first: str
    second: str
    both: int = 0
    """Pictures that both have an answer for."""
    same: int = 0
    """Of these, those with the same first label."""
    only_first: int = 0
    """Pictures that only the first result has an answer for."""
    only_second: int = 0
    changes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often which label became which."""
    compared: int = 0
    """Pictures where the second result, too, has a score for the first one's label."""
    mean_score: float = 0.0
    """The mean difference of these scores, without their signs."""
    most_score: float = 0.0
    examples: list[Change] = field(default_factory=list)
    right_first: int = 0
    right_second: int = 0
    judged: int = 0
    test: McNemar | None = None
    """With a truth."""


class _First:
    """The first result, 21 bytes a picture: label, score and whether it is right, by name."""

    def __init__(self, path: Path, judge: Judge | None) -> None:
        keys, labels, scores = array("Q"), array("L"), array("d")
        rights = bytearray()
        numbers: dict[str, int] = {}
        for row in read_rows(path):
            if not row.guesses:
                continue
            if len(numbers) > MOST:
                raise BadFile(f"the result has more than {MOST} different labels")
            keys.append(digest(row.image))
            labels.append(numbers.setdefault(row.guesses[0].label, len(numbers)))
            scores.append(row.guesses[0].score)
            rights.append(_right(row, judge))
        order = sorted(range(len(keys)), key=keys.__getitem__)
        self._keys = array("Q", (keys[i] for i in order))
        self._labels = array("L", (labels[i] for i in order))
        self._scores = array("d", (scores[i] for i in order))
        self._rights = bytes(rights[i] for i in order)
        self._seen = bytearray(len(keys))
        self._names = list(numbers)

    def take(self, image: str) -> tuple[str, float, int] | None:
        """A picture's label, score and `_right`, once; None where there is none."""
        key = digest(image)
        at = bisect_left(self._keys, key)
        while at < len(self._keys) and self._keys[at] == key:
            if not self._seen[at]:
                self._seen[at] = 1
                return self._names[self._labels[at]], self._scores[at], self._rights[at]
            at += 1
        return None

    @property
    def left(self) -> int:
        """Pictures that nobody took."""
        return len(self._seen) - sum(self._seen)


def difference(first: Path, second: Path, truth: Truth | None = None) -> Difference:
    """Compare two results picture by picture; they may be in any order.

    Raises:
        BadFile: one is no result, they have no picture in common, or the truth does not fit.
        UsageFault: pyarrow is missing.
    """
    judge = Judge([read_rows(first), read_rows(second)], truth) if truth is not None else None
    known = _First(first, judge)
    found = Difference(str(first), str(second))
    alone = [0, 0]
    for row in read_rows(second):
        if not row.guesses:
            continue
        before = known.take(row.image)
        if before is None:
            found.only_second += 1
            continue
        _add(found, row, before[0], before[1])
        right = _right(row, judge)
        if right != _UNJUDGED:
            found.judged += 1
            found.right_first += before[2]
            found.right_second += right
            if before[2] != right:
                alone[right] += 1
    found.only_first = known.left
    if not found.both:
        raise BadFile(
            f"{first} and {second} have no answered picture in common",
            "both are to be results of the same pictures, named alike",
        )
    found.mean_score /= found.compared or 1
    found.examples.sort(key=lambda change: (-change.weight, change.image))
    if judge is not None:
        found.test = mcnemar(*alone)
    return found


_UNJUDGED = 2


def _right(row: Row, judge: Judge | None) -> int:
    """1 or 0; `_UNJUDGED` where no truth is known."""
    verdict = judge.verdict(row) if judge is not None else None
    return _UNJUDGED if verdict is None else int(verdict.right)


def _add(found: Difference, row: Row, label: str, score: float) -> None:
    guess = row.guesses[0]
    found.both += 1
    there = next((g.score for g in row.guesses if g.label == label), None)
    if there is not None:
        found.compared += 1
        found.mean_score += abs(there - score)
        found.most_score = max(found.most_score, abs(there - score))
    if guess.label == label:
        found.same += 1
        return
    if len(found.changes) <= MOST:
        found.changes[label, guess.label] += 1
    change = Change(min(score, guess.score), row.image, label, score, guess.label, guess.score)
    if len(found.examples) < EXAMPLES:
        heapq.heappush(found.examples, change)
    else:
        heapq.heappushpop(found.examples, change)
