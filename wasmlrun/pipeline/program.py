"""`wasmlrun run`: any WASI program in the sandbox, its streams and exit code passed through."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.manifest.grant import Grant, from_manifest, with_writable
from wasmlrun.manifest.manifest import Manifest
from wasmlrun.manifest.mounts import parse_mounts
from wasmlrun.pipeline.passed_on import PassedOn
from wasmlrun.pipeline.plan import (
    Wishes,
    find_manifest,
    find_worker,
    interpreted,
    models_elsewhere,
    named_models,
    preloaded,
)
from wasmlrun.pipeline.protocols import wws
from wasmlrun.pipeline.trusted import with_gate
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.limits import Limits, exceeded, lowered, raised, with_limits
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import NOTHING, Record, replace

if TYPE_CHECKING:
    from wasmlrun.host import Host
    from wasmlrun.pipeline.foreign import Named


class ProgramWishes(Record):
    """The command line of `run` as far as it decides what runs."""

    worker: str
    manifest: Path | None = None
    dirs: Sequence[str] = ()
    variables: Sequence[str] = ()
    """`NAME=VALUE` each."""
    models: Sequence[str] = ()
    """`[NAME=]FILE` each."""
    elsewhere: Sequence[Named] = ()
    """Models that options of other hosts name."""
    no_nn: bool = False
    writable: Sequence[str] = ()
    input_layout: str | None = None
    allow_outside: bool = False
    limits: Mapping[str, Any] = NOTHING
    trusted_keys: Sequence[str] = ()
    """Files of keys, of which one must have signed each model."""
    trusted_worker: bool = False
    """Whether the program must be signed too."""
    cache: Cache | None = None
    """Where it is remembered that a signature is right."""


class ProgramPlan(Record):
    """What will run, and with what."""

    worker: Path
    grant: Grant
    models: Mapping[str, ModelSource]
    limits: Limits
    raised: Sequence[str] = ()
    """Warnings about limits that the manifest would raise."""


def plan_program(wishes: ProgramWishes, *, bounded: bool) -> ProgramPlan:
    """Find and check everything that the command names. With `bounded` the program's output is
    limited also when nobody says so.

    Raises:
        WasmlrunError: of the kind of the first thing that is wrong.
    """
    path = find_worker(wishes.worker)
    found = find_manifest(
        Wishes(wishes.worker, wishes.manifest, allow_outside=wishes.allow_outside), path
    )
    usual = Limits() if bounded else replace(Limits(), output=None)
    asked = found.limits if found else {}
    grant = grant_of(
        found,
        wishes.dirs,
        wishes.variables,
        wishes.writable,
        wishes.input_layout,
        no_nn=wishes.no_nn,
    )
    models = {
        **(preloaded(found) if found else {}),
        **named_models(wishes.models, allow_outside=wishes.allow_outside),
        **models_elsewhere(wishes.elsewhere, allow_outside=wishes.allow_outside, absent_too=True),
    }
    grant = with_gate(
        grant,
        (source for source in models.values() if source.parts),
        wishes.trusted_keys,
        worker=wishes.trusted_worker,
        cache=wishes.cache,
    )
    path, grant = interpreted(path, grant)
    if bounded and found is not None and found.classify is None:
        from wasmlrun.pipeline.private_copies import with_private_copies

        grant = replace(grant, mounts=with_private_copies(grant.mounts))
    return ProgramPlan(
        path,
        grant,
        models,
        with_limits(lowered(usual, asked), wishes.limits),
        tuple(raised(usual, asked)),
    )


def run_program(
    path: Path,
    arguments: Sequence[str],
    host: Host,
    messages: Messages,
    *,
    request: bytes | None = None,
    raw: bool = False,
) -> GuestRun:
    """Run a program to its end, in this process, whose clock starts now. With `request`, that
    is its stdin and its stdout is kept; without, it has this process's streams, of which a
    terminal gets control characters only if they are wanted `raw`.

    Raises:
        WasmlrunError: it could not be started, trapped, or reached a limit.
    """
    limits, board = host.limits, host.board
    bound_memory(limits.process_memory)
    board.lower_timeout(limits.timeout)
    host = replace(host, clock=Clock(board.deadline))
    linked = host.worker(path).linked(host.grant)
    own = PassedOn(messages, board, raw=raw)
    try:
        with messages.guest() as said:
            run = host.run(
                linked,
                str(path),
                arguments=arguments,
                stdin=request,
                inherit=request is None,
                stdout=own.stdout() if request is None else None,
                stderr=own.stderr if request is None else said,
            )
    except MemoryError as e:
        raise exceeded("process_memory", limits.process_memory, "the run takes more") from e
    finally:
        host.graphs.close()
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


def response_of(run: GuestRun) -> wws.Response:
    """What a wws worker answered with.

    Raises:
        WorkerFailed: it exited with a failure, or its answer is no response.
    """
    if run.exit_code != 0:
        raise explain(run, f"the worker exited with code {run.exit_code}")
    return wws.parse_response(run)


def parse_variable(text: str) -> tuple[str, str]:
    """`NAME=VALUE`. Raises UsageFault when it is not of that form."""
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise UsageFault(f"--env {text}: not of the form NAME=VALUE")
    return name, value
