"""The usual calls of a core module, their order, handles and error numbers."""

from __future__ import annotations

import pytest
from kit.core_calls import (
    ALL,
    BUFFER,
    COMPUTE,
    CONTEXT,
    DATA,
    DIMS,
    GET,
    GRAPH,
    LOAD,
    MODELS,
    OPEN,
    SET,
    TENSOR,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player, f32s, record
from kit.fakes import FakeEngine
from kit.models_by_hand import colours_ir

from wasmlrun.engines.protocol import Engine, Port
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType


def test_a_guest_gets_what_the_model_computes(play: Player, openvino: Engine) -> None:
    models = {"m": ModelSource(Encoding.OPENVINO, colours_ir())}
    red = f32s(*[1.0, 0.0, 0.0] * 16)
    played = play(ALL, memory(shape=(1, 4, 4, 3), data=red), engine=openvino, models=models)
    assert played.errnos == [0, 0, 0, 0, 0]
    assert played.u32(WRITTEN) == 20
    assert played.floats(BUFFER, 5) == pytest.approx((1.0, -0.5, -0.5, 0.2, -0.2))
    assert played.run.output is not None
    assert played.run.output.shape == (1, 5)
    assert bytes(played.run.output.data) == played.memory[BUFFER : BUFFER + 20]


def test_compute_before_set_input_is_refused(play: Player) -> None:
    played = play([LOAD, OPEN, COMPUTE], memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == "compute: input 0 (x, [1, 4] f32) was never set"


def test_compute_names_the_one_input_of_several_that_was_never_set(play: Player) -> None:
    ports = [Port("x", (1, 4), DType.F32), Port("mask", (-1,), DType.I64)]
    played = play(
        [LOAD, OPEN, SET, COMPUTE], memory(), engine=FakeEngine(inputs=ports), models=MODELS
    )
    assert played.errnos == [0, 0, 0, 1]
    assert played.sentence == "compute: input 1 (mask, [?] i64) was never set"


def test_get_output_before_compute_is_refused(play: Player) -> None:
    played = play([LOAD, OPEN, SET, GET], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 5]
    assert played.sentence == "get_output: nothing was computed yet"


def test_a_new_input_makes_the_old_output_unavailable(play: Player) -> None:
    played = play([*ALL, SET, GET], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 0, 5]


@pytest.mark.parametrize("handle", [0, 77, 0xFFFFFFFF])
def test_a_handle_that_was_never_given_out_is_refused(play: Player, handle: int) -> None:
    calls: list[Call] = [
        ("init_execution_context", handle, CONTEXT),
        ("set_input", handle, 0, TENSOR),
        ("compute", handle),
        ("get_output", handle, 0, BUFFER, 1024, WRITTEN),
        ("unload", handle),
        ("finalize_execution_context", handle),
        ("fini_single", handle),
    ]
    for call in calls:
        played = play([call], memory(), models=MODELS)
        assert played.errnos == [1], call
        assert f"{handle} is no " in played.sentence


def test_a_graph_is_never_taken_for_a_context_nor_the_other_way_round(play: Player) -> None:
    played = play([LOAD, OPEN, ("compute", At(GRAPH))], memory(), models=MODELS)
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"compute: {played.u32(GRAPH)} is no execution context"
    played = play(
        [LOAD, OPEN, ("init_execution_context", At(CONTEXT), BUFFER)], memory(), models=MODELS
    )
    assert played.errnos == [0, 0, 1]
    assert played.sentence == f"init_execution_context: {played.u32(CONTEXT)} is no graph"


def test_contexts_of_one_graph_keep_their_inputs_apart(play: Player) -> None:
    second, other = 44, 192
    calls: list[Call] = [
        LOAD,
        OPEN,
        ("init_execution_context", At(GRAPH), second),
        SET,
        ("set_input", At(second), 0, other),
        COMPUTE,
        ("compute", At(second)),
        GET,
        ("get_output", At(second), 0, BUFFER + 16, 16, WRITTEN),
    ]
    content = memory() | {other: record(DIMS, 2, 1, DATA + 64, 16), DATA + 64: f32s(5, 6, 7, 8)}
    played = play(calls, content, models=MODELS)
    assert played.errnos == [0] * 9
    assert played.floats(BUFFER, 8) == (1, 2, 3, 4, 5, 6, 7, 8)


def test_a_guest_cannot_use_handles_of_the_guest_before_it(play: Player) -> None:
    first = play(ALL, memory(), models=MODELS)
    assert first.errnos == [0] * 5
    # the same numbers as the first guest had, in a new instance
    graph, context = first.u32(GRAPH), first.u32(CONTEXT)
    second = play(
        [("init_execution_context", graph, BUFFER), ("compute", context)], memory(), models=MODELS
    )
    assert second.errnos == [1, 1]


def test_what_a_guest_leaves_open_is_freed_when_it_ends(play: Player) -> None:
    engine = FakeEngine()
    play([*ALL, OPEN, OPEN], memory(), engine=engine, models=MODELS)
    (graph,) = engine.graphs
    assert graph.closed
    assert [context.closed for context in graph.contexts] == [True] * 3


@pytest.mark.parametrize(
    ("step", "errnos", "sentence"),
    [
        ("load", [5], "load_by_name: the onnx model cannot be loaded on CPU: the fake refuses"),
        ("open", [0, 5], "init_execution_context: the fake refuses to open"),
        ("set_input", [0, 0, 5], "set_input: the fake refuses to set_input"),
        ("compute", [0, 0, 0, 5], "compute: the fake refuses to compute"),
        ("output", [0, 0, 0, 0, 5], "get_output: the fake refuses to output"),
    ],
)
def test_an_engine_that_refuses_is_a_runtime_error(
    play: Player, step: str, errnos: list[int], sentence: str
) -> None:
    engine = FakeEngine(fail=step)
    played = play(ALL[: len(errnos)], memory(), engine=engine, models=MODELS)
    assert played.errnos == errnos
    assert played.sentence.startswith(sentence)


def test_no_error_number_is_beyond_those_of_the_specification() -> None:
    from wasmlrun.wasi_nn.errors import NnErrno

    assert sorted(NnErrno) == list(range(1, 9))
    # these mean the same since the crate's version 0.2
    assert (NnErrno.INVALID_ARGUMENT, NnErrno.INVALID_ENCODING) == (1, 2)
    assert (NnErrno.MISSING_MEMORY, NnErrno.BUSY, NnErrno.RUNTIME_ERROR) == (3, 4, 5)
