"""Which pixels belong to what: one class that is there or not, or the likeliest of several."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np
from PIL import Image

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Box, Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.inference.outputs.pixels import as_file, channels_last
from wasmlrun.manifest.reader import LAYOUTS
from wasmlrun.support.errors import BadLabels

SHOWS = ("overlay", "mask", "cutout")
_STRENGTH = 0.55
"""How much of an overlay's colour there is."""


class Segment(Options):
    """`[infer.output]` of kind segment."""

    index: int = 0
    """The number of the output that is meant."""
    layout: str = ""
    label: str = ""
    """Of one class: what it is called, whatever the labels say."""
    threshold: float = 0.5
    """Of one class: from which score on a pixel belongs to it."""
    background: int = 0
    """Of several classes: the number of "nothing"; -1 where there is no such class."""
    sigmoid: bool = False
    """Whether the scores of one class are still to be brought between 0 and 1."""
    show: str = "overlay"
    """What -o writes: the picture with the pixels coloured, the mask alone, or the picture
    where nothing is left but what was found."""


def make(outputs: Sequence[tuple[str, Array]], options: Segment, context: Context) -> Made:
    """The share of the picture that each class has. Raises BadModel, BadLabels."""
    array = channels_last(
        one(outputs, options.index, "segment"), options.layout, "segment", 4096
    ).astype(np.float32)
    if array.shape[2] == 1:
        scores = 1 / (1 + np.exp(-array)) if options.sigmoid else array
        strength, classes = scores[:, :, 0], (scores[:, :, 0] >= options.threshold).astype(int)
        names, nothing = ["", options.label or (context.labels or ["found"])[0]], 0
    else:
        classes = array.argmax(2)
        nothing = options.background
        names = _names(array.shape[2], context.labels)
        strength = (classes != nothing).astype(np.float32)
    found = {
        names[number]: float((classes == number).mean())
        for number in np.unique(classes)
        if number != nothing
    }
    ordered = sorted(found.items(), key=lambda pair: -pair[1])
    facts = {"segments": [{"label": name, "share": share} for name, share in ordered]}
    lines = [(name, f"{share:.4f}") for name, share in ordered]
    return Made(
        facts,
        lines,
        lambda: as_file(_shown(classes, strength, nothing, options, context), context.suffix),
    )


def _names(count: int, labels: Sequence[str] | None) -> list[str]:
    if labels is None:
        return [f"class {number}" for number in range(count)]
    if len(labels) != count:
        raise BadLabels(f"the model tells {count} classes apart and there are {len(labels)} labels")
    return list(labels)


def _shown(
    classes: Array, strength: Array, nothing: int, options: Segment, context: Context
) -> Image.Image:
    picture = context.given.picture
    strength = strength.clip(0, 1)
    if options.show == "mask" or picture is None:
        mask = Image.fromarray((strength * 255).round().astype(np.uint8))
        return mask if picture is None else _placed(mask, context.given.view, picture.size)
    if options.show == "cutout":
        alpha = Image.fromarray((strength * 255).round().astype(np.uint8))
        whole = picture.convert("RGBA")
        whole.putalpha(_placed(alpha, context.given.view, picture.size))
        return whole
    palette = np.array([_colour(n) for n in range(int(classes.max()) + 1)], np.uint8)
    colours = Image.fromarray(palette[classes])
    cover = np.where(classes == nothing, 0, _STRENGTH * strength)
    alpha = Image.fromarray((cover * 255).round().astype(np.uint8))
    view, size = context.given.view, picture.size
    return Image.composite(_placed(colours, view, size), picture, _placed(alpha, view, size))


def _placed(image: Image.Image, view: Box, size: tuple[int, int]) -> Image.Image:
    """The tensor's picture where it belongs in the whole one."""
    wide, high = max(1, round(view.width)), max(1, round(view.height))
    canvas = Image.new(image.mode, size)
    canvas.paste(
        image.resize((wide, high), Image.Resampling.BILINEAR), (round(view.left), round(view.top))
    )
    return canvas


def _colour(number: int) -> tuple[int, ...]:
    """A colour that is far from those of its neighbours."""
    return tuple(round(255 * part) for part in colorsys.hsv_to_rgb(number * 0.381966 % 1, 0.85, 1))


KIND = OutputKind(make, Segment, {"layout": LAYOUTS, "show": SHOWS})
