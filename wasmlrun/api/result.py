"""What a caller gets: the answer for a picture, what a program did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wasmlrun.vision.labels import Prediction
from wasmlrun.vision.source import ImageSource


@dataclass(frozen=True, slots=True)
class Result:
    """The answer for one picture. A notebook shows it with the picture and bars."""

    image: str
    """The picture's name."""
    worker: str
    model: str | None
    predictions: tuple[Prediction, ...]
    """The best first, each with `index`, `label` and `score`."""
    timings_ms: Mapping[str, float]
    """Stages in milliseconds, as `classify --json` has them; `total` is all of them."""
    met: bool | None = None
    """Whether the best is what `expect` and `min_score` want; None without them."""
    sure: bool | None = None
    """Whether the first score is as high as for pictures of what the model knows; None where
    its manifest does not say how high that is."""
    _source: ImageSource | None = field(default=None, repr=False, compare=False)

    @property
    def best(self) -> Prediction | None:
        """The first prediction; None when there is none."""
        return self.predictions[0] if self.predictions else None

    def _repr_html_(self) -> str:
        from wasmlrun.api.notebook import html

        return html(self, self._source)


@dataclass(frozen=True, slots=True)
class Completed:
    """What a program's run came to."""

    exit_code: int
    stdout: bytes
    stderr: bytes
