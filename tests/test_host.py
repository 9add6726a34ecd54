"""One host, many runs: what is shared and what each run has for itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import ENDLESS, EXIT_7, program
from kit.fakes import FakeEngine

from wasmlrun.engines.pool import EnginePool
from wasmlrun.host import Host
from wasmlrun.manifest.grant import Grant
from wasmlrun.nn import GraphPool
from wasmlrun.sandbox.clock import Clock
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.records import replace

# loads the model `net` and exits with the error number
LOADS = program(
    """(call $proc_exit (call $load (i32.const 0) (i32.const 3) (i32.const 8)))""",
    before="""(import "wasi_ephemeral_nn" "load_by_name" (func $load
      (param i32 i32 i32) (result i32)))""",
    data={0: b"net"},
)
NET = ModelSource(Encoding.ONNX, (b"net",))


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def host(engine: FakeEngine) -> Host:
    return Host(
        GraphPool(EnginePool.of(engine), Board()), models={"net": NET}, grant=Grant(nn=True)
    )


def test_graphs_are_shared_and_models_are_each_runs_own(
    host: Host, engine: FakeEngine, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    linked = host.worker(make_worker(tmp_path, LOADS)).linked(host.grant)
    assert [host.run(linked, "x").exit_code for _ in range(2)] == [0, 0]
    assert len(engine.loads) == 1
    missing = replace(host, models={}).run(linked, "x")
    assert missing.exit_code != 0
    assert missing.failure is not None
    assert "no model is named 'net'" in missing.failure.message


def test_each_run_has_its_own_limits_and_clock(
    host: Host, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    endless = host.worker(make_worker(tmp_path, ENDLESS)).linked(host.grant)
    hurried = replace(host, limits=Limits(timeout=0.1), clock=Clock.after(0.1))
    with pytest.raises(LimitExceeded, match=r"the timeout limit of 0\.1 s"):
        hurried.run(endless, "x")
    quick = host.worker(make_worker(tmp_path, EXIT_7)).linked(host.grant)
    assert host.run(quick, "x").exit_code == 7


def test_a_limit_is_told_with_the_last_call_that_failed(
    host: Host, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    fails_and_goes_on = LOADS.replace("(call $proc_exit (call", "(drop (call").replace(
        "(i32.const 8)))", "(i32.const 8))) (loop $on (br $on))"
    )
    linked = host.worker(make_worker(tmp_path, fails_and_goes_on)).linked(host.grant)
    hurried = replace(host, models={}, limits=Limits(timeout=0.1), clock=Clock.after(0.1))
    with pytest.raises(LimitExceeded, match="– its last failed WASI-NN call: load_by_name"):
        hurried.run(linked, "x")
