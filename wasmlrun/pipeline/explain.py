"""Why this label: the worker looks at the picture many times, each time with parts hidden.

This is RISE (Petsiuk, Das and Saenko, 2018): what is visible when the score is high counts. Each
mask is used twice, once with light and dark exchanged, which needs fewer looks for the same map.
Nothing is asked of the model but its scores, so any worker can be explained.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from wasmlrun.pipeline.per_image import Classifier, picture_input
from wasmlrun.support.errors import WasmlrunError, WorkerFailed
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.support.messages import Messages, printable
from wasmlrun.support.records import Record, replace
from wasmlrun.vision import preprocess
from wasmlrun.vision.decode import decode
from wasmlrun.vision.heatmap import overlay
from wasmlrun.vision.values import ImagePixels

if TYPE_CHECKING:
    from wasmlrun.host import Host
    from wasmlrun.pipeline.loading import Loading
    from wasmlrun.pipeline.plan import ClassifyOptions, Plan
    from wasmlrun.pipeline.result import ImageResult
    from wasmlrun.vision.labels import Prediction
    from wasmlrun.vision.source import ImageSource

LOOKS = 500
"""How often the worker runs, an even number."""
GRID = 7
"""Cells of a mask in each direction; half of them are hidden."""
_SIDE = 320
"""Pixels of the longer side of what is shown to a worker that decodes pictures itself."""
_ALL = 1 << 20
"""Predictions of a look: the label may be far down."""


class Explainer:
    """Finds out which parts of pictures count."""

    def __init__(self, plan: Plan, options: ClassifyOptions, host: Host, loading: Loading) -> None:
        self._plan = plan
        self._max_pixels = options.max_pixels
        self._loading = loading
        every = replace(options, top=_ALL, expect=None, min_score=None, explain=False)
        # what the worker says is told once, of the picture as it is
        self._classifier = Classifier(plan, every, host, loading, Messages(-1))

    def outcomes(
        self, classifier: Classifier, images: Sequence[ImageSource]
    ) -> Iterator[tuple[ImageSource, ImageResult | WasmlrunError]]:
        """Each image's result, explained, or its error, in order."""
        for image, outcome in classifier.outcomes([Held(image) for image in images]):
            yield image, self.explained(image, outcome)

    def explained(
        self, image: ImageSource, outcome: ImageResult | WasmlrunError
    ) -> ImageResult | WasmlrunError:
        """The outcome with the map for its first label as a PNG; an error stays what it is."""
        if isinstance(outcome, WasmlrunError):
            return outcome
        if not outcome.predictions:
            return WorkerFailed(
                f"image {image.name}: the answer is empty, there is nothing to explain"
            )
        try:
            return replace(outcome, explanation=self._map(image, outcome.predictions[0]))
        except WasmlrunError as error:
            return error

    def _map(self, image: ImageSource, target: Prediction) -> bytes:
        whole, seen, box = self._view(image)
        rows, columns = seen.size[1], seen.size[0]
        hidden = Image.new("RGB", seen.size, _mean(seen))
        looks = [_Look(image.name, seen, hidden, number) for number in range(LOOKS)]
        heat = np.zeros((rows, columns))
        for even, odd in _pairs(self._scores(looks, target)):
            light = np.asarray(looks[even[0]].mask(), dtype=np.float64) / 255 - 0.5
            heat += (even[1] - odd[1]) * light
        heat = np.clip(heat, 0, None)
        heat /= heat.max() or 1.0
        stream, about = io.BytesIO(), PngInfo()
        said = f"{target.label} {target.score:.2%}, by {LOOKS} looks at parts of the picture"
        about.add_itxt("Description", printable(said))
        overlay(whole, box, heat).save(stream, "PNG", pnginfo=about)
        return stream.getvalue()

    def _scores(self, looks: list[_Look], target: Prediction) -> Iterator[tuple[int, float]]:
        """Of each look its number and the label's score."""
        for number, (_, outcome) in enumerate(self._classifier.outcomes(looks)):
            if isinstance(outcome, WasmlrunError):
                raise outcome
            # a worker that lists only the best leaves out what is worse
            yield number, next((p.score for p in outcome.predictions if _same(p, target)), 0.0)

    def _view(
        self, image: ImageSource
    ) -> tuple[Image.Image, Image.Image, tuple[float, float, float, float]]:
        """The picture, what the model is shown of it, and where that lies in it."""
        side = self._plan.settings.size
        wanted = max(side) if side else 2 * preprocess.DEFAULT_SIZE
        whole = image.decoded(at_least=wanted, max_pixels=self._max_pixels)
        if self._plan.settings.protocol == "wws":  # the worker does what it likes
            small = whole.copy()
            small.thumbnail((_SIDE, _SIDE))
            return whole, small, (0.0, 0.0, float(whole.width), float(whole.height))
        spec = preprocess.resolve(self._plan.settings, picture_input(self._loading.graph()))
        return whole, preprocess.scale_to(whole, spec), preprocess.seen_box(whole.size, spec)


class _Look(Record):
    """A picture with parts hidden; made when it is looked at, so that a few are there at a time."""

    name: str
    seen: Image.Image
    hidden: Image.Image
    number: int
    """Two follow each other: what one hides the other shows."""

    def encoded(self) -> bytes:
        """As a PNG, for workers that decode pictures themselves."""
        return ImagePixels(self.name, self._made()).encoded()

    def decoded(self, *, at_least: int = 0, max_pixels: int = 0) -> Image.Image:
        """Of the size that the model takes."""
        return self._made()

    def mask(self) -> Image.Image:
        """255 where the first of its pair shows the picture; the same every time."""
        chance = random.Random(self.number // 2)
        cells = [255 * (chance.random() < 0.5) for _ in range((GRID + 1) ** 2)]
        small = Image.frombytes("L", (GRID + 1, GRID + 1), bytes(cells))
        width, height = self.seen.size
        # soft edges, and cells that begin anywhere
        left, top = chance.random(), chance.random()
        box = (left, top, left + GRID, top + GRID)
        return small.resize((width, height), Image.Resampling.BILINEAR, box=box)

    def _made(self) -> Image.Image:
        light, dark = self.seen, self.hidden
        if self.number % 2:
            light, dark = dark, light
        return Image.composite(light, dark, self.mask())


class Held:
    """A picture whose bytes are read once: what comes through a pipe is not there again."""

    def __init__(self, image: ImageSource) -> None:
        self._image = image
        self._bytes: bytes | None = None

    @property
    def name(self) -> str:
        """What the picture is called."""
        return self._image.name

    def encoded(self) -> bytes:
        """The bytes of the image file. Raises BadImage."""
        if self._bytes is None:
            self._bytes = self._image.encoded()
        return self._bytes

    def decoded(self, *, at_least: int = 0, max_pixels: int = MAX_PIXELS) -> Image.Image:
        """Its pixels. Raises BadImage."""
        return decode(self.encoded(), self.name, at_least=at_least, max_pixels=max_pixels)


def _pairs(
    scores: Iterator[tuple[int, float]],
) -> Iterator[tuple[tuple[int, float], tuple[int, float]]]:
    return zip(scores, scores, strict=True)


def _same(one: Prediction, other: Prediction) -> bool:
    return one.index == other.index if other.index is not None else one.label == other.label


def _mean(picture: Image.Image) -> tuple[int, int, int]:
    """The picture's mean colour: what is hidden is neither bright nor dark."""
    small = picture.resize((1, 1), Image.Resampling.BOX)
    red, green, blue = small.tobytes()
    return red, green, blue
