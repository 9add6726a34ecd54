"""The answer for one image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wasmlrun.report.answer import Answer, Ranking, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from PIL.Image import Image

    from wasmlrun.pipeline.result import ImageResult


LEAST_SHOWN = 0.0005
"""A lower score would read 0.0 %."""


def answer(
    result: ImageResult,
    *,
    every: bool = True,
    picture: Callable[[str], Image | None] = lambda name: None,
) -> Answer:
    """Its predictions, the highest first; unless `every` a table leaves out those of 0.0 %.

    `picture` gives the image of a name where it is to be seen.
    """
    lines = [
        (result.image, p.label, f"{p.score:.4f}", "" if p.index is None else str(p.index))
        for p in result.predictions
    ]
    shown = [
        (p.label, p.score)
        for rank, p in enumerate(result.predictions)
        if every or rank == 0 or abs(p.score) >= LEAST_SHOWN
    ]
    ranking = Ranking(result.image, shown, picture(result.image))
    map_ = result.explanation
    file = None if map_ is None else lambda: map_
    return Answer([record(result)], lines, ranking, [_verdict(result)], file)


def record(result: ImageResult) -> dict[str, Any]:
    """`image`, `worker`, `model`, `predictions`, `timings_ms`; `sure` where the model has a
    bound for it, and `expected` if asked.
    """
    entry: dict[str, Any] = {
        "image": result.image,
        "worker": result.worker,
        "model": result.model,
        "predictions": [
            {"index": p.index, "label": p.label, "score": p.score} for p in result.predictions
        ],
        "timings_ms": {name: round(ms, 2) for name, ms in result.timings_ms.items()},
    }
    if result.sure is not None:
        entry["sure"] = result.sure
    if result.expectation is not None:
        entry["expected"] = {
            "labels": result.expectation.labels,
            "min_score": result.expectation.min_score,
            "met": result.expectation.met,
        }
    return entry


def _verdict(result: ImageResult) -> Verdict:
    seconds = result.timings_ms.get("total", 0.0) / 1000
    if result.expectation is None or result.expectation.met:
        return Verdict(result.image, seconds)
    from wasmlrun.pipeline.expectation import unmet

    return Verdict(result.image, seconds, unmet(result))
