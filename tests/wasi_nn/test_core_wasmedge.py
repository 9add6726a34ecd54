"""WasmEdge's additions to the core ABI."""

from __future__ import annotations

import pytest
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

from wasmlrun.engines.pool import EnginePool
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.limits import Limits
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session


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


def test_a_graph_that_was_unloaded_is_given_back_with_its_last_context(
    fake_engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = GraphPool(EnginePool.of(fake_engine), Board())
    given_back: list[object] = []
    monkeypatch.setattr(pool, "release", given_back.append)
    # more than may be alive at once, if those that were unloaded counted for ever
    session = Session(pool, MODELS, limits=Limits(graphs=2))
    for _ in range(5):
        graph = session.load_by_name("m")
        contexts = [session.init_execution_context(graph) for _ in range(2)]
        session.drop_graph(graph)
        before = len(given_back)
        session.drop_context(contexts[0])
        assert len(given_back) == before
        session.drop_context(contexts[1])
        assert len(given_back) == before + 1


def test_wasmedge_finalize_execution_context_frees_it(play: Player) -> None:
    engine = FakeEngine()
    end: Call = ("finalize_execution_context", At(CONTEXT))
    played = play([*ALL, end, COMPUTE, end], memory(), engine=engine, models=MODELS)
    assert played.errnos == [0, 0, 0, 0, 0, 0, 1, 1]
    assert engine.graphs[0].contexts[0].closed
