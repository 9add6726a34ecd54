"""A vector that stands for what went in; vectors of like things are close to each other."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadModel

POOLINGS = ("none", "mean", "first")


class Embed(Options):
    """`[infer.output]` of kind embed."""

    index: int = 0
    """The number of the output that is meant."""
    pooling: str = "none"
    """How vectors of tokens, [1, tokens, n], become one."""
    normalise: bool = False
    """Whether the vector gets the length 1."""


def make(outputs: Sequence[tuple[str, Array]], options: Embed, context: Context) -> Made:
    """The vector, [n] in f32. Raises BadModel."""
    array = one(outputs, options.index, "embed").astype(np.float32)
    vector = _pooled(array, options.pooling, context.given.mask).reshape(-1)
    length = float(np.linalg.norm(vector))
    if options.normalise and length > 0:
        vector = vector / np.float32(length)
    values = [float(value) for value in vector]

    def file() -> bytes:
        if context.suffix == ".json":
            return json.dumps(values).encode() + b"\n"
        stream = io.BytesIO()
        np.save(stream, vector, allow_pickle=False)
        return stream.getvalue()

    return Made({"dimensions": len(values), "vector": values}, [[f"{v:.7g}" for v in values]], file)


def _pooled(array: Array, pooling: str, mask: Array | None) -> Array:
    if pooling == "none":
        return array
    if array.ndim != 3 or array.shape[0] != 1:
        raise BadModel(
            f"embed cannot pool an output of {list(array.shape)}: it takes [1, tokens, n]",
            "--set output.pooling=none takes it as it is",
        )
    if pooling == "first":
        first: Array = array[0, 0]
        return first
    weights = np.ones(array.shape[1], np.float32) if mask is None else mask
    pooled: Array = (array[0] * weights[:, None]).sum(0) / max(float(weights.sum()), 1e-9)
    return pooled


KIND = OutputKind(make, Embed, {"pooling": POOLINGS})
