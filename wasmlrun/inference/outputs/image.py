"""A picture: what a model of style, of colours or of finer detail paints."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image as Pillow

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.inference.outputs.pixels import as_file, channels_last
from wasmlrun.manifest.reader import LAYOUTS
from wasmlrun.support.errors import BadManifest


class Image(Options):
    """`[infer.output]` of kind image."""

    index: int = 0
    """The number of the output that is meant."""
    layout: str = ""
    low: float = 0.0
    """The number that is black."""
    high: float = 1.0
    """The number that is white."""
    restore: bool = True
    """Whether a picture of another shape than the one that went in is stretched to that."""


def make(outputs: Sequence[tuple[str, Array]], options: Image, context: Context) -> Made:
    """The picture in RGB, or in grey. Raises BadModel."""
    array = channels_last(one(outputs, options.index, "image"), options.layout, "image", 4)
    if options.high == options.low:
        raise BadManifest("infer.output.high must not be the same as infer.output.low")
    if array.dtype != np.uint8:
        numbers = np.nan_to_num(array.astype(np.float32))
        numbers = (numbers - options.low) * (255 / (options.high - options.low))
        array = numbers.round().clip(0, 255).astype(np.uint8)
    image = Pillow.fromarray(array[:, :, 0] if array.shape[2] < 3 else array[:, :, :3])
    source = context.given.picture
    if options.restore and source is not None and not _alike(image.size, source.size):
        image = image.resize(source.size, Pillow.Resampling.BICUBIC)
    facts = {"width": image.width, "height": image.height, "mode": image.mode}
    return Made(
        facts,
        [(f"{image.width} × {image.height}", image.mode)],
        lambda: as_file(image, context.suffix),
    )


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same ratio, but for a rounding."""
    (width, height), (wide, high) = size, other
    return abs(width * high - height * wide) <= max(wide, high)


KIND = OutputKind(make, Image, {"layout": LAYOUTS})
