"""`wasmlrun run`: any WASI program in the sandbox, its streams and exit code passed through."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from wasmlrun.backends import Backend
from wasmlrun.cache import Cache
from wasmlrun.devices import DeviceChoice
from wasmlrun.errors import BadManifest, UsageFault, WasmlrunError
from wasmlrun.grant import Grant, from_manifest, with_writable
from wasmlrun.limits import Limits
from wasmlrun.manifest import Manifest, Mount, check_folders
from wasmlrun.messages import Messages
from wasmlrun.modelfile import ModelSource
from wasmlrun.outcome import GuestRun, explain
from wasmlrun.protocols import wws
from wasmlrun.session import GraphPool, Session
from wasmlrun.stages import Board, Stage
from wasmlrun.worker import Runtime, Worker


def run_program(
    path: Path,
    arguments: Sequence[str],
    grant: Grant,
    models: Mapping[str, ModelSource],
    choose_device: DeviceChoice,
    backend: Backend,
    limits: Limits,
    cache: Cache,
    board: Board,
    messages: Messages,
    *,
    request: bytes | None = None,
) -> GuestRun:
    """Run a program to its end. With `request`, that is its stdin and its stdout is kept;
    without, it has this process's streams.

    Raises:
        WasmlrunError: it could not be started, trapped, or reached a limit.
    """
    board.timeout = limits.timeout
    board.deadline = time.monotonic() + limits.timeout
    runtime = Runtime(limits, cache)
    runtime.start_clock(board.deadline)
    pool = GraphPool(backend, board)
    session = Session(
        pool,
        models,
        choose_device,
        nhwc_input=grant.nhwc_input,
        limits=limits,
        allowed_models=grant.allowed_models,
    )
    linked = Worker(runtime, path).linked(grant)
    try:
        with board.doing(Stage.GUEST, str(path)):
            run = linked.run(
                session=session,
                arguments=arguments,
                stdin=request,
                inherit=request is None,
                stderr=messages.guest,
            )
    except WasmlrunError as error:
        if session.failure is not None:
            error.message += f" – its last failed WASI-NN call: {session.failure.message}"
        raise
    finally:
        session.close()
        pool.close()
    if run.exit_code != 0 and run.failure is not None:
        messages.warn(f"the program's last failed WASI-NN call: {run.failure.message}")
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


def parse_mount(text: str) -> Mount:
    """`HOST:GUEST[:rw]`; a host path alone is mounted under its own name.

    Raises:
        UsageFault: it is not of that form.
    """
    parts = text.split(":")
    writable = len(parts) > 2 and parts[-1] in ("rw", "ro")
    mode = parts.pop() if writable else "ro"
    host, guest = (parts[0], parts[-1]) if len(parts) in (1, 2) else ("", "")
    if not host or not guest:
        raise UsageFault(f"--dir {text}: not of the form HOST:GUEST[:rw]", "write --dir .:/data:rw")
    return Mount(Path(host).absolute(), guest, mode == "rw")


def parse_mounts(texts: Sequence[str], already: Sequence[Mount]) -> tuple[Mount, ...]:
    """The mounts of a manifest and of the command line, checked together.

    Raises:
        UsageFault: a folder that does not exist, or two on one guest path.
    """
    mounts = (*already, *map(parse_mount, texts))
    try:
        check_folders(mounts, "--dir")
    except BadManifest as e:
        raise UsageFault(e.message, e.hint) from e
    return mounts


def parse_variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageFault when it is not of that form."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageFault(f"--env {text}: not of the form NAME=VALUE")
    return name, value
