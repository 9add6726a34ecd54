"""`wasmlrun run`: any WASI program in the sandbox, its streams and exit code passed through."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.engines.pool import EnginePool
from wasmlrun.manifest.grant import Grant, from_manifest, with_writable
from wasmlrun.manifest.mounts import parse_mounts
from wasmlrun.manifest.reader import Manifest
from wasmlrun.pipeline.protocols import wws
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import LimitExceeded, UsageFault
from wasmlrun.support.limits import Limits, exceeded
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import replace
from wasmlrun.trace.spans import span
from wasmlrun.wasi_nn.session import GraphPool, Session

if TYPE_CHECKING:
    from wasmlrun.trace.recorder import Trace


def run_program(
    path: Path,
    arguments: Sequence[str],
    grant: Grant,
    models: Mapping[str, ModelSource],
    engines: EnginePool,
    limits: Limits,
    cache: Cache,
    board: Board,
    messages: Messages,
    *,
    request: bytes | None = None,
    trace: Trace | None = None,
) -> GuestRun:
    """Run a program to its end. With `request`, that is its stdin and its stdout is kept;
    without, it has this process's streams.

    Raises:
        WasmlrunError: it could not be started, trapped, or reached a limit.
    """
    bound_memory(limits.process_memory)
    board.timeout = limits.timeout
    board.deadline = time.monotonic() + limits.timeout
    runtime = Runtime(limits, cache)
    pool = GraphPool(engines, board)
    session = Session(
        pool,
        models,
        nhwc_input=grant.nhwc_input,
        limits=limits,
        allowed_models=grant.allowed_models,
        allowed_backends=grant.allowed_backends,
        observer=trace.observer() if trace is not None else None,
    )
    with span(trace, "worker", worker=str(path)):
        linked = Worker(runtime, path).linked(grant)
    try:
        with board.doing(Stage.GUEST, str(path)), span(trace, "run"):
            run = linked.run(
                session=session,
                clock=Clock(board.deadline),
                arguments=arguments,
                stdin=request,
                inherit=request is None,
                stderr=messages.guest,
            )
    except LimitExceeded as error:
        if session.failure is not None:
            error.message += f" – its last failed WASI-NN call: {session.failure.message}"
        raise
    except MemoryError as e:
        raise exceeded("process_memory", limits.process_memory, "the run takes more") from e
    finally:
        session.close()
        pool.close()
    if run.exit_code != 0 and run.failure is not None:
        messages.warn(f"the program's last failed WASI-NN call: {run.failure.message}")
    if run.exit_code != 0 and run.hint is not None:
        messages.detail(f"hint: {run.hint}")
    return run


def grant_of(
    manifest: Manifest | None,
    dirs: Sequence[str],
    variables: Sequence[str],
    writable: Sequence[str],
    input_layout: str | None,
    *,
    no_nn: bool,
) -> Grant:
    """What the manifest, if there is one, and the command line give a program.

    Raises:
        UsageFault: an option is malformed or names what does not exist.
    """
    grant = from_manifest(manifest) if manifest is not None else Grant(nn=True)
    grant = replace(
        grant,
        mounts=parse_mounts(dirs, grant.mounts),
        environ={**grant.environ, **dict(map(parse_variable, variables))},
        nn=grant.nn and not no_nn,
        nhwc_input=input_layout == "nhwc" if input_layout else grant.nhwc_input,
    )
    return with_writable(grant, writable)


def response_body(run: GuestRun) -> bytes:
    """The body that a wws worker answered with.

    Raises:
        WorkerFailed: it exited with a failure, or its answer is no response.
    """
    if run.exit_code != 0:
        raise explain(run, f"the worker exited with code {run.exit_code}")
    return wws.parse_response(run).body


def parse_variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageFault when it is not of that form."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageFault(f"--env {text}: not of the form NAME=VALUE")
    return name, value
