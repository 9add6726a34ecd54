"""A module that is compiled, loaded again and run, to see whether the compiler runs twice."""

from __future__ import annotations

from pathlib import Path

from wasmlrun import wasmtime_c
from wasmlrun.sandbox.ahead import Ahead, restored, this_target
from wasmlrun.support.errors import BadWorker, WorkerFailed

_NAME = "the trial"


def compiled(module: bytes, target: str | None) -> Ahead:
    """A core module compiled in this process: for this very processor, or for `pulley64`.

    Raises BadWorker for what is no valid module.
    """
    try:
        engine = wasmtime_c.Engine(target=target)
        machine_code = wasmtime_c.Module.compiled(engine, module).serialize()
    except wasmtime_c.Refused as e:
        raise BadWorker(f"{_NAME} cannot be compiled: {e}") from e
    return Ahead({"name": _NAME, "target": target or this_target()}, machine_code)


def compilations_to_run(made: Ahead) -> int:
    """How often the compiler was called to load a program without imports and to run it.

    Raises:
        BadWorker: it cannot be loaded. WorkerFailed: it trapped.
    """
    before = wasmtime_c.Module.compilations
    engine, module = restored(Path(_NAME), made, fuel=False)
    store = wasmtime_c.Store(engine)
    store.set_epoch_deadline(1)
    try:
        wasmtime_c.Linker(engine).link(module).run(store)
    except wasmtime_c.Trap as e:
        raise WorkerFailed(f"{_NAME} trapped: {e}") from e
    return wasmtime_c.Module.compilations - before
