"""Cases for the suite that every engine is held to."""

from __future__ import annotations

import os
import random
import struct
from importlib.util import find_spec

import pytest

from kit.models_by_hand import colours_matrix
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.testing.engine_suite import Case


def colours_case(seed: int, layout: str = "NHWC", side: int = 4) -> Case:
    """A random picture, and what the classifier `colours` says of it."""
    pixels = side * side
    generator = random.Random(seed)
    values = [generator.random() for _ in range(3 * pixels)]
    means = [sum(values[c::3]) / pixels for c in range(3)]
    if layout == "NCHW":
        values = [v for c in range(3) for v in values[c::3]]
    shape = (1, side, side, 3) if layout == "NHWC" else (1, 3, side, side)
    scores = [
        sum(m * row[k] for m, row in zip(means, colours_matrix(), strict=True)) for k in range(5)
    ]
    return Case(
        [Tensor(shape, DType.F32, struct.pack(f"<{3 * pixels}f", *values))],
        [Tensor((1, 5), DType.F32, struct.pack("<5f", *scores))],
    )


def sum_case(one: tuple[int, ...], other: tuple[int, ...]) -> Case:
    """The sum of two inputs, and the first of them."""
    given = [Tensor((4,), DType.I32, struct.pack("<4i", *t)) for t in (one, other)]
    total = [a + b for a, b in zip(one, other, strict=True)]
    return Case(given, [Tensor((4,), DType.I32, struct.pack("<4i", *total)), given[0]])


def identity_case(*values: int) -> Case:
    """u8 numbers, and the same."""
    tensor = Tensor((len(values),), DType.U8, bytes(values))
    return Case([tensor], [tensor])


def needs(package: str, extra: str) -> None:
    """Leave out what needs an engine that is not installed; where all is checked, fail."""
    if find_spec(package.split(".")[0]) is None:
        reason = f"{package} is not installed: pip install 'wasmlrun[{extra}]'"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason, allow_module_level=True)
