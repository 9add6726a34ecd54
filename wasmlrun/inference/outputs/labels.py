"""Scores, as `classify` ranks them: the highest, with their labels."""

from __future__ import annotations

from collections.abc import Sequence

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.manifest.reader import SCORES
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.vision.labels import probabilities, rank


class Labels(Options):
    """`[infer.output]` of kind labels."""

    top: int = 5
    scores: str = "auto"
    index: int = 0
    """The number of the output that is meant."""


def make(outputs: Sequence[tuple[str, Array]], options: Labels, context: Context) -> Made:
    """The ranking. Raises BadModel, BadLabels."""
    array = one(outputs, options.index, "labels")
    kinds = {"uint8": DType.U8, "int8": DType.I8}
    dtype = kinds.get(array.dtype.name, DType.F64)
    flat = array.reshape(-1) if dtype is not DType.F64 else array.reshape(-1).astype("<f8")
    tensor = Tensor((1, flat.size), dtype, flat.tobytes())
    found = rank(probabilities(tensor, options.scores), context.labels, None, options.top)
    return Made(
        {"predictions": [{"index": p.index, "label": p.label, "score": p.score} for p in found]},
        [(p.label, f"{p.score:.4f}", str(p.index)) for p in found],
    )


KIND = OutputKind(make, Labels, {"scores": SCORES}, resize="crop")
