"""`get_output`: how much is written where."""

from __future__ import annotations

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    COMPUTE,
    CONTEXT,
    LOAD,
    MODELS,
    ODD,
    OPEN,
    SET,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player, f32s, u32s
from kit.fakes import FakeEngine

from wasmlrun.engines.protocol import Port
from wasmlrun.support.tensor import DType, Tensor


@pytest.mark.parametrize("capacity", [0, 15])
def test_a_buffer_too_small_is_told_the_size_that_is_needed(play: Player, capacity: int) -> None:
    calls: list[Call] = [LOAD, OPEN, SET, COMPUTE]
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, capacity, WRITTEN))
    played = play(calls, {**memory(), BUFFER: u32s(ODD)}, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 7]
    assert played.u32(WRITTEN) == 16
    assert played.u32(BUFFER) == ODD
    assert played.run.output is None
    assert played.sentence == (
        f"get_output: output 0 is [1, 4] f32 (16 bytes), the guest's buffer holds {capacity} bytes"
    )


def test_a_guest_may_ask_again_with_the_size_it_was_told(play: Player) -> None:
    calls: list[Call] = [LOAD, OPEN, SET, COMPUTE]
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, 0, WRITTEN))
    calls.append(("get_output", At(CONTEXT), 0, BUFFER, At(WRITTEN), WRITTEN))
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 7, 0]
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


def test_the_answer_is_the_output_that_was_fetched_last(play: Player) -> None:
    two = Tensor((1, 2), DType.F32, f32s(8, 9))
    engine = FakeEngine(
        outputs=[Port("y", (1, 4), DType.F32), Port("z", (1, 2), DType.F32)],
        function=lambda inputs: {0: inputs[0], 1: two},
    )
    calls = [*ALL, ("get_output", At(CONTEXT), 1, BUFFER, 1024, WRITTEN)]
    played = play(calls, memory(), engine=engine, models=MODELS)
    assert played.errnos == [0] * 6
    assert played.run.output == two
