"""What the pipeline comes to for each image, and the seam by which it is told.

Renderers in `wasmlrun.report` are such reports; the pipeline knows none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.support.failure import Failure
    from wasmlrun.vision.labels import Prediction


class Expectation(Record):
    """What `--expect` and `--min-score` wanted and whether it came."""

    labels: str
    min_score: float | None
    met: bool


class ImageResult(Record):
    """The answer for one image."""

    image: str
    worker: str
    model: str | None
    predictions: Sequence[Prediction]
    timings_ms: Mapping[str, float]
    expectation: Expectation | None = None
    sure: bool | None = None
    """Whether the first score is as high as for pictures of what the model knows; None where
    its manifest does not say how high that is."""
    explanation: bytes | None = None
    """A PNG file that shows which parts of the picture count for the first label, if asked."""


class Report(Protocol):
    """Where results go, in the order of the images."""

    def prepare(self) -> None:
        """Get ready what a result will need; to be called while there is time."""

    def result(self, result: ImageResult) -> None:
        """An image was classified."""

    def failure(self, failure: Failure) -> None:
        """An image, the failure's subject, could not be classified."""
