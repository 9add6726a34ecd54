"""Things in a picture: where they are, what they are, and how sure the model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.kind import Box, Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.inference.outputs.detect import anchors, heatmap, ssd, yolo
from wasmlrun.inference.outputs.detect.boxes import Boxes, apart
from wasmlrun.inference.outputs.pixels import as_file
from wasmlrun.support.errors import BadLabels

FORMATS = ("ssd", "anchors", "yolo", "heatmap")


class Detect(Options):
    """`[infer.output]` of kind detect."""

    format: str = "ssd"
    """How the model tells what it found."""
    threshold: float = 0.5
    """The least score, from 0 to 1."""
    overlap: float = 0.45
    """Two boxes that share more than that are one thing, the better one."""
    most: int = 100
    """How many things are told at most."""
    label: str = ""
    """What it is, for a model that finds one kind of thing."""
    rows_first: bool = True
    """ssd: boxes are top, left, bottom, right; false: left, top, right, bottom."""
    strides: tuple[float, ...] = ()
    """anchors: pixels from anchor to anchor, for each layer."""
    per_cell: int = 2
    """anchors: how many each layer has in one place."""
    around: tuple[float, ...] = ()
    """anchors: two points that the box is drawn with; none takes the model's own box."""
    level: float = 0.3
    """heatmap: from which score on a pixel belongs to a thing."""
    grow: float = 1.6
    """heatmap: how much larger than its patch a thing is."""


def make(outputs: Sequence[tuple[str, Array]], options: Detect, context: Context) -> Made:
    """The things with boxes in pixels of the picture, best first. Raises BadModel, BadLabels."""
    boxes = _candidates(outputs, options, context)
    likely = np.isfinite(boxes.corners).all(1) & (boxes.scores >= options.threshold)
    best = apart(boxes.at(np.flatnonzero(likely)), options.overlap, options.most)
    found = [_told(best, number, options, context) for number in range(len(best.scores))]
    picture = context.given.picture
    lines = [
        (one["label"], f"{one['score']:.4f}", *(str(round(side)) for side in one["box"]))
        for one in found
    ]
    if picture is None:
        return Made({"found": found}, lines)

    def file() -> bytes:
        from wasmlrun.inference.outputs.detect.drawing import drawn

        return as_file(drawn(picture, found), context.suffix)

    return Made({"found": found}, lines, file)


def _candidates(outputs: Sequence[tuple[str, Array]], options: Detect, context: Context) -> Boxes:
    size = context.given.size
    if options.format == "anchors":
        return anchors.candidates(outputs, size, options.strides, options.per_cell, options.around)
    if options.format == "yolo":
        return yolo.candidates(outputs, size)
    if options.format == "heatmap":
        return heatmap.candidates(outputs, options.level, options.grow)
    return ssd.candidates(outputs, rows_first=options.rows_first)


def _told(boxes: Boxes, number: int, options: Detect, context: Context) -> dict[str, Any]:
    view, kind = context.given.view, int(boxes.classes[number])
    left, top, right, bottom = (float(side) for side in boxes.corners[number])
    picture = context.given.picture
    sides = [*_placed(left, top, view), *_placed(right, bottom, view)]
    if picture is not None:  # what is outside of it, nobody sees
        ends = (*picture.size, *picture.size)
        sides = [min(max(side, 0.0), float(end)) for side, end in zip(sides, ends, strict=True)]
    told = {
        "label": _label(kind, options, context.labels),
        "class": kind,
        "score": float(boxes.scores[number]),
        "box": sides,
    }
    if boxes.points is not None:
        told["points"] = [_placed(float(x), float(y), view) for x, y in boxes.points[number]]
    return told


def _placed(x: float, y: float, view: Box) -> list[float]:
    """A place in the model's picture as one in the whole picture, in pixels."""
    return [round(view.left + x * view.width, 2), round(view.top + y * view.height, 2)]


def _label(kind: int, options: Detect, labels: Sequence[str] | None) -> str:
    if options.label:
        return options.label
    if labels is None:
        return f"class {kind}"
    if not 0 <= kind < len(labels):
        raise BadLabels(f"the model found class {kind}, and there are {len(labels)} labels")
    return labels[kind]


KIND = OutputKind(make, Detect, {"format": FORMATS}, resize="pad")
