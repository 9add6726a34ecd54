"""OpenVINO, held to the suite that every engine is held to."""

from __future__ import annotations

import random
import struct

import pytest
from kit.models_by_hand import colours_ir, colours_matrix, identity_ir

from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.testing import engine_suite
from wasmlrun.testing.engine_suite import Case, Check, Example, Subject


def colours_case(seed: int) -> Case:
    values = [random.Random(seed).random() for _ in range(48)]
    means = [sum(values[c::3]) / 16 for c in range(3)]
    scores = [
        sum(m * row[k] for m, row in zip(means, colours_matrix(), strict=True)) for k in range(5)
    ]
    return Case(
        [Tensor((1, 4, 4, 3), DType.F32, struct.pack("<48f", *values))],
        [Tensor((1, 5), DType.F32, struct.pack("<5f", *scores))],
    )


def identity_case(*values: int) -> Case:
    tensor = Tensor((4,), DType.U8, bytes(values))
    return Case([tensor], [tensor])


EXAMPLES = [
    Example(ModelSource(Encoding.OPENVINO, colours_ir()), [colours_case(1), colours_case(2)]),
    Example(
        ModelSource(Encoding.OPENVINO, identity_ir("u8", (4,))),
        [identity_case(1, 2, 3, 4), identity_case(255, 0, 7, 7)],
    ),
]


@pytest.mark.parametrize("check", engine_suite.CHECKS, ids=lambda check: check.__name__)
def test_it_is_an_engine(check: Check) -> None:
    check(Subject("openvino", EXAMPLES))
