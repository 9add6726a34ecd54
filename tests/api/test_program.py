"""`wasmlrun.Program`: any WASI program, run many times."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.component_guests import component
from kit.core_guests import ENDLESS, EXIT_7, TRAP, printing, program

import wasmlrun
from wasmlrun.wasi_nn.adapter import VERSIONS

# copies standard input to standard output
CAT = program(
    """
    (loop $again
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 4096))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (i32.store (i32.const 4) (i32.load (i32.const 8)))
      (if (i32.load (i32.const 8)) (then
        (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $again))))"""
)
# runs for ever if it is given an argument
PATIENT = program(
    """(drop (call $sizes (i32.const 0) (i32.const 4)))
    (loop $on (br_if $on (i32.gt_u (i32.load (i32.const 0)) (i32.const 1))))""",
    before="""(import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes
      (param i32 i32) (result i32)))""",
)
Make = Callable[..., wasmlrun.Program]


@pytest.fixture(params=["process", "thread"])
def make(request: pytest.FixtureRequest, tmp_path: Path, make_worker: Callable[..., Path]) -> Make:
    def made(text: str, **how: Any) -> wasmlrun.Program:
        return wasmlrun.Program(make_worker(tmp_path, text), isolation=request.param, **how)

    return made


def test_streams_and_exit_code_are_the_result(make: Make) -> None:
    with make(CAT) as cat:
        assert cat.run(stdin=b"\0\xff" * 5000) == wasmlrun.Completed(0, b"\0\xff" * 5000, b"")
        assert cat.run(stdin="ü").stdout == "ü".encode()
    with make(EXIT_7) as seven:
        assert [seven.run().exit_code for _ in range(3)] == [7, 7, 7]
    with make(printing("oh\n", descriptor=2)) as chatty:
        assert asyncio.run(chatty.arun()) == wasmlrun.Completed(0, b"", b"oh\n")


def test_a_component_is_a_program_too(make: Make) -> None:
    with make(component("(i32.const 1)", VERSIONS[-1])) as fails:
        assert [fails.run().exit_code for _ in range(2)] == [1, 1]


def test_arguments_variables_and_folders(make: Make, tmp_path: Path) -> None:
    # prints its arguments and its variables
    said = program(
        """(drop (call $sizes (i32.const 0) (i32.const 4)))
        (drop (call $get (i32.const 64) (i32.const 1024)))
        (i32.store (i32.const 8) (i32.const 1024))
        (i32.store (i32.const 12) (i32.load (i32.const 4)))
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
        (drop (call $esizes (i32.const 0) (i32.const 4)))
        (drop (call $eget (i32.const 64) (i32.const 1024)))
        (i32.store (i32.const 12) (i32.load (i32.const 4)))
        (drop (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))""",
        before="".join(
            f"""(import "wasi_snapshot_preview1" "{name}" (func ${short}
              (param i32 i32) (result i32)))"""
            for name, short in (
                ("args_sizes_get", "sizes"),
                ("args_get", "get"),
                ("environ_sizes_get", "esizes"),
                ("environ_get", "eget"),
            )
        ),
    )
    with make(said, env={"A": "x=y"}) as given:
        assert given.run(["one", "zwölf"]).stdout == "worker.wasm\0one\0zwölf\0A=x=y\0".encode()
    mounted = make(EXIT_7, dirs=[f"{tmp_path}/nowhere:/m"])
    with mounted, pytest.raises(wasmlrun.BadFile, match="nowhere"):
        mounted.run()


def test_failures_are_errors_and_the_next_run_is_none(make: Make) -> None:
    with make(TRAP) as trap, pytest.raises(wasmlrun.WorkerFailed, match=r"trapped: .*unreachable"):
        trap.run()
    with make(PATIENT, limits={"timeout": 0.5}) as patient:
        for _ in range(2):
            with pytest.raises(wasmlrun.LimitExceeded, match=r"limit of 0\.5 s"):
                patient.run(["x"])
            assert patient.run().exit_code == 0
    with make(CAT, limits={"output": 1000}) as cat:
        with pytest.raises(wasmlrun.LimitExceeded, match="the output limit of 1000 bytes"):
            cat.run(stdin=bytes(1001))
        assert len(cat.run(stdin=bytes(1000)).stdout) == 1000
    with pytest.raises(ValueError, match="the worker is closed"):
        cat.run()


def test_models_by_name(make: Make, colours: Path) -> None:
    loads = program(
        "(call $proc_exit (call $load (i32.const 0) (i32.const 3) (i32.const 8)))",
        before="""(import "wasi_ephemeral_nn" "load_by_name" (func $load
          (param i32 i32 i32) (result i32)))""",
        data={0: b"net"},
    )
    with make(loads, models={"net": colours}) as granted:
        assert granted.run().exit_code == 0
    with make(loads) as without:
        assert without.run().exit_code != 0
    with make(loads, no_nn=True) as denied, pytest.raises(wasmlrun.BadWorker, match="WASI-NN"):
        denied.run()


def test_nothing_runs_before_it_is_asked(make: Make) -> None:
    with make(ENDLESS, limits={"timeout": 0.5}) as endless:
        assert endless.prepare() is endless
