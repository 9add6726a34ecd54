"""One result, read once or, with a truth, twice: all figures there are of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from wasmlrun.figures.accuracy import Accuracy
from wasmlrun.figures.calibration import Calibration, bin_of
from wasmlrun.figures.confusion import Confusion
from wasmlrun.figures.faults import Faults
from wasmlrun.figures.gallery import Gallery
from wasmlrun.figures.judge import Judge, Verdict
from wasmlrun.figures.latency import Latency
from wasmlrun.figures.names import MOST
from wasmlrun.figures.rows import Row, read_rows
from wasmlrun.figures.truth import Truth
from wasmlrun.support.errors import BadFile

SCORE_BINS = 20
NO_LABEL = "(no prediction)"


@dataclass(slots=True)
class Judged:
    """What is only known with a truth."""

    judge: Judge
    accuracy: Accuracy = field(default_factory=Accuracy)
    calibration: Calibration = field(default_factory=Calibration)
    confusion: Confusion = field(default_factory=Confusion)
    right_scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    """Of the histogram's pictures, those with a right answer."""
    without: int = 0
    """Rows that the truth says nothing of."""

    wrong: int = 0
    """Answers that are not right; what failed has none."""

    def add(self, row: Row) -> Verdict | None:
        """Count a row; None where the truth says nothing of it."""
        verdict = self.judge.verdict(row)
        if verdict is None:
            self.without += 1
            return None
        self.wrong += row.error is None and not verdict.right
        self.accuracy.add(verdict.truth, verdict.given, verdict.rank, len(row.guesses))
        if verdict.given is not None:
            score = row.guesses[0].score
            self.calibration.add(score, verdict.right)
            self.confusion.add(verdict.truth, verdict.given)
            self.right_scores[score_bin(score)] += verdict.right
        return verdict


@dataclass(slots=True)
class Summary:
    """The figures of one result."""

    source: str
    models: Counter[str] = field(default_factory=Counter)
    workers: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    answered: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    """How often each is the first guess."""
    scores: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    """Pictures by their first score, from 0 to 1."""
    latency: Latency = field(default_factory=Latency)
    faults: Faults = field(default_factory=Faults)
    gallery: Gallery = field(default_factory=Gallery)
    judged: Judged | None = None

    def add(self, row: Row) -> None:
        """Count a row, whatever became of its picture."""
        self.rows += 1
        verdict = self.judged.add(row) if self.judged is not None else None
        if row.error is not None:
            self.faults.add(row.error, row.message)
            return
        self.answered += 1
        _count(self.models, row.model)
        _count(self.workers, row.worker)
        if row.milliseconds is not None:
            self.latency.add(row.milliseconds)
        if not row.guesses:
            self.labels[NO_LABEL] += 1
            return
        _count(self.labels, row.guesses[0].label)
        self.scores[score_bin(row.guesses[0].score)] += 1
        self.gallery.add(row, verdict)

    def below(self, least: float) -> str | None:
        """Why the accuracy is not as high as it should be; None if it is."""
        share = None if self.judged is None else self.judged.accuracy.top1
        if share is None or share.value is None:
            return f"expected an accuracy of at least {least:g}, and no picture's truth is known"
        if share.value >= least:
            return None
        return (
            f"expected an accuracy of at least {least:g}, got {share.value:.4f}: "
            f"{share.part} of {share.of} are right"
        )


def summarise(result: Path, truth: Truth | None = None) -> Summary:
    """The figures of a result.

    Raises:
        BadFile: it is no result, or the truth does not fit it. UsageFault: pyarrow is missing.
    """
    judge = None if truth is None else Judge([read_rows(result)], truth)
    found = Summary(str(result), judged=None if judge is None else Judged(judge))
    for row in read_rows(result):
        found.add(row)
    if not found.rows:
        raise BadFile(f"result {result} is empty", "there is nothing to tell of it")
    return found


def score_bin(score: float) -> int:
    """The histogram's bar of a score; what is no share is in the first or the last."""
    return bin_of(min(max(score, 0.0), 1.0), SCORE_BINS)


def _count(counter: Counter[str], name: str) -> None:
    if name not in counter and len(counter) >= MOST:
        raise BadFile(f"the result has more than {MOST} different labels")
    counter[name] += 1
