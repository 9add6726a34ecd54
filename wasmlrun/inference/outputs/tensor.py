"""The numbers as they are, with what there is to say about them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options


class Numbers(Options):
    """`[infer.output]` of kind tensor has no further keys."""


def make(outputs: Sequence[tuple[str, Array]], _: Numbers, context: Context) -> Made:
    """Each output's name, shape, type and range; several outputs are one archive."""

    def file() -> bytes:
        stream = io.BytesIO()
        if len(outputs) == 1 and context.suffix != ".npz":
            np.save(stream, outputs[0][1], allow_pickle=False)
        else:
            arrays = {name or str(n): array for n, (name, array) in enumerate(outputs)}
            np.savez(stream, **arrays)  # type: ignore[arg-type]
        return stream.getvalue()

    facts = [_facts(name, array) for name, array in outputs]
    lines = [
        (fact["name"], str(fact["shape"]), fact["type"], _range(fact["min"], fact["max"]))
        for fact in facts
    ]
    return Made({"outputs": facts}, lines, file)


def _facts(name: str, array: Array) -> dict[str, Any]:
    numbers = array.astype(np.float64) if array.size else np.zeros(1)
    ends = [float(numbers.min()), float(numbers.max())]
    low, high = (end if np.isfinite(end) else None for end in ends)
    return {
        "name": name,
        "shape": list(array.shape),
        "type": array.dtype.name,
        "min": low,
        "max": high,
    }


def _range(low: object, high: object) -> str:
    return " to ".join("not finite" if end is None else f"{end:.6g}" for end in (low, high))


KIND = OutputKind(make, Numbers)
