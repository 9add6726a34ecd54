"""What `--expect` and `--min-score` want of an answer."""

from __future__ import annotations

from collections.abc import Sequence

from wasmlrun.pipeline.result import Expectation, ImageResult
from wasmlrun.vision.labels import Prediction


def judge(
    predictions: Sequence[Prediction], expect: str | None, min_score: float | None
) -> Expectation | None:
    """Whether the first prediction is as expected; None when nothing is."""
    if expect is None and min_score is None:
        return None
    met = bool(predictions)
    if expect is not None:
        met = met and matches(predictions[0].label, expect)
    if min_score is not None:
        met = met and predictions[0].score >= min_score
    return Expectation(expect or "", min_score, met)


def matches(label: str, expected: str) -> bool:
    """Whether a label, or one of its synonyms, is one of the expected: case does not count.

    Both may be lists with commas, as ImageNet's labels are (`tench, Tinca tinca`).
    """
    return bool(_synonyms(label) & _synonyms(expected))


def _synonyms(text: str) -> set[str]:
    return {part.strip().casefold() for part in (text, *text.split(",")) if part.strip()}


def unmet(result: ImageResult) -> str:
    """The sentence for an answer that is not as expected."""
    expectation = result.expectation
    assert expectation is not None
    wanted = f"expected {expectation.labels!r}" if expectation.labels else "expected a score"
    if expectation.min_score is not None:
        wanted += f" of at least {expectation.min_score:g}"
    if not result.predictions:
        return f"{result.image}: {wanted}, the answer is empty"
    best = result.predictions[0]
    return f"{result.image}: {wanted}, got {best.label!r} with {best.score:.4f}"
