"""WasmEdge's additions to the core ABI."""

from __future__ import annotations

from kit.core_calls import (
    ALL,
    BUFFER,
    COMPUTE,
    CONTEXT,
    DATA,
    GRAPH,
    LOAD,
    MODELS,
    NAME,
    OPEN,
    SET,
    WRITTEN,
    memory,
)
from kit.core_guests import At, Call, Player
from kit.fakes import FakeEngine


def test_wasmedge_load_by_name_with_config(play: Player) -> None:
    calls: list[Call] = [("load_by_name_with_config", NAME, 1, DATA, 2, GRAPH), *ALL[1:]]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 5


def test_wasmedge_compute_single_get_output_single_and_fini_single(play: Player) -> None:
    calls: list[Call] = [
        LOAD,
        OPEN,
        SET,
        ("compute_single", At(CONTEXT)),
        ("get_output_single", At(CONTEXT), 0, BUFFER, 1024, WRITTEN),
        ("fini_single", At(CONTEXT)),
        COMPUTE,
    ]
    played = play(calls, memory(), models=MODELS)
    assert played.errnos == [0] * 7
    assert played.floats(BUFFER, 4) == (1, 2, 3, 4)


def test_wasmedge_unload_forgets_a_graph_and_leaves_its_contexts(play: Player) -> None:
    unload: Call = ("unload", At(GRAPH))
    again: Call = ("init_execution_context", At(GRAPH), BUFFER)
    played = play([LOAD, OPEN, unload, SET, COMPUTE, again, unload], memory(), models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 1, 1]


def test_wasmedge_finalize_execution_context_frees_it(play: Player) -> None:
    engine = FakeEngine()
    end: Call = ("finalize_execution_context", At(CONTEXT))
    played = play([*ALL, end, COMPUTE, end], memory(), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 0, 1, 1]
    assert engine.graphs[0].contexts[0].closed
