"""What is said, beside an answer, about how far to trust it."""

from __future__ import annotations

from collections.abc import Sequence

from wasmlrun.pipeline.result import ImageResult
from wasmlrun.support import bundled
from wasmlrun.vision.labels import Prediction


def is_sure(predictions: Sequence[Prediction], unsure_below: float | None) -> bool | None:
    """Whether the first score reaches the bound of the model's manifest; None without one."""
    if unsure_below is None or not predictions:
        return None
    return predictions[0].score >= unsure_below


def doubt(result: ImageResult) -> str:
    """The sentence for an answer that is not sure."""
    best = result.predictions[0]
    model = result.model or "the model"
    return (
        f"not sure: {result.image} is unlike what {model} knows "
        f"({best.label!r} with only {best.score:.2f})"
    )


def about_model(shown_model: str | None) -> str | None:
    """What to know about a model before its answers are believed; None if nothing."""
    if shown_model != bundled.DEFAULT_MODEL:
        return None
    return (
        f"note: {bundled.DEFAULT_MODEL} is a demonstration that knows ten classes; "
        f"for a real model: wasmlrun models pull {bundled.REAL_MODEL}"
    )
