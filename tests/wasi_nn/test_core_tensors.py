"""A wrong tensor gets the whole sentence."""

from __future__ import annotations

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    CONTEXT,
    LOAD,
    MODELS,
    OPEN,
    SET,
    TENSOR,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player, f32s
from kit.fakes import FakeEngine

from wasmlrun.engines.protocol import Port
from wasmlrun.support.tensor import DType


@pytest.mark.parametrize(
    ("port", "kind", "shape", "data", "sentence"),
    [
        (
            Port("x", (1, 224, 224, 3), DType.U8),
            1,
            (1, 4),
            f32s(1, 2, 3, 4),
            "the model expects [1, 224, 224, 3] u8, given was [1, 4] f32 (16 bytes) – "
            "the element type differs",
        ),
        (
            Port("x", (1, 5), DType.F32),
            1,
            (1, 4),
            f32s(1, 2, 3, 4),
            "the model expects [1, 5] f32, given was [1, 4] f32 (16 bytes) – the shape differs",
        ),
        (
            Port("x", (1, -1, 3), DType.F32),
            1,
            (1, 2, 2),
            f32s(1, 2, 3, 4),
            "the model expects [1, ?, 3] f32, given was [1, 2, 2] f32 (16 bytes) – "
            "the shape differs",
        ),
        (
            Port("x", (1, 4), DType.F32),
            2,
            (1, 4),
            b"\1\2\3\4",
            "the model expects [1, 4] f32, given was [1, 4] u8 (4 bytes) – "
            "the element type differs",
        ),
    ],
)
def test_a_tensor_that_does_not_fit_says_what_was_expected_and_what_came(
    play: Player, port: Port, kind: int, shape: tuple[int, ...], data: bytes, sentence: str
) -> None:
    engine = FakeEngine(inputs=[port])
    played = play([LOAD, OPEN, SET], memory(kind, shape, data), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"set_input: {sentence}"


@pytest.mark.parametrize("shape", [(4,), (1, 1, 4), (1, 4)])
def test_leading_sizes_of_one_may_be_left_out_or_added(
    play: Player, shape: tuple[int, ...]
) -> None:
    engine = FakeEngine()
    played = play(ALL, memory(shape=shape), engine=engine, models=MODELS)
    assert played.errnos == [0] * 5
    assert engine.graphs[0].contexts[0].given[0].shape == (1, 4)


def test_an_input_that_the_model_does_not_have_is_named_with_those_it_has(play: Player) -> None:
    calls: list[Call] = [LOAD, OPEN, ("set_input", At(CONTEXT), 3, TENSOR)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == "set_input: the model has no input 3 (it has: 0 x)"
    calls = [*ALL[:4], ("get_output", At(CONTEXT), 0xFFFFFFFF, BUFFER, 1024, WRITTEN)]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 1]
    assert played.sentence == "get_output: the model has no output 4294967295 (it has: 0 y)"
