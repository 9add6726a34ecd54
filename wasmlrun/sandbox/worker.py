"""A worker: a WebAssembly command, compiled once, run in a fresh sandboxed instance each time.

The instance gets the mounts and variables of its Grant, its standard input as bytes, and the
host functions of WASI and, where granted, of WASI-NN; a core module whose grant names hosts may
have requests sent to them (`http_requests`). It has no sockets and inherits nothing. Traps, exits
and limits become typed errors. What differs between core modules and components is in `core` and
`component`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from wasmlrun.binary.magic import AHEAD, COMPONENT, CORE, no_program
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.clock import Clock, Runtime, Trapped
from wasmlrun.sandbox.hints import Heard, remedy, was_refused
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.sandbox.setup import (
    CannotMount,
    Listener,
    Output,
    Setup,
    limit_hit,
    sentence,
    setup_of,
    written_to,
)
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadWorker, LimitExceeded, WorkerFailed
from wasmlrun.support.limits import MAX_WORKER_BYTES, Limits, exceeded, timeout_error
from wasmlrun.support.records import NOTHING
from wasmlrun.wasi_nn.session import Session

__all__ = ["LinkedWorker", "Runtime", "Worker"]

NO_CLOCK = Clock()
"""Never over."""


class LinkedProgram(Protocol):
    """A program with its imports provided; starts one instance at a time."""

    @property
    def memory_used(self) -> int:
        """Bytes of linear memory that the last instance ended with; 0 when that is not known."""

    @property
    def process_memory_used(self) -> int:
        """Bytes of the process when the last instance failed; 0 when it did not, or unknown."""

    def start(self, setup: Setup, session: Session | None, limits: Limits, clock: Clock) -> int:
        """Run a fresh instance to its end; its exit code. Raises Trapped or CannotMount."""


class Program(Protocol):
    """A compiled program, core module or component."""

    @property
    def is_bytecode(self) -> bool:
        """Whether it was compiled for Pulley, wasmtime's interpreter, and not for a processor."""

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""

    def linked(self, grant: Grant) -> LinkedProgram:
        """Provide its imports. Raises BadWorker for one that nobody provides."""


class Worker:
    """A worker that was read and compiled, to be run many times."""

    def __init__(self, runtime: Runtime, path: Path) -> None:
        """Read and compile.

        Raises:
            BadWorker: no such file, no WebAssembly, or not a program.
        """
        self.path = path
        self._runtime = runtime
        self._program = _program(runtime, path)

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""
        return self._program.uses_nn

    @property
    def is_bytecode(self) -> bool:
        """Whether it is run by Pulley, wasmtime's interpreter, and not by the processor."""
        return self._program.is_bytecode

    def linked(self, grant: Grant) -> LinkedWorker:
        """Provide its imports as far as the grant allows.

        Raises:
            BadWorker: an import that nobody provides.
        """
        return LinkedWorker(self._runtime, self.path, self._program.linked(grant), grant)


class LinkedWorker:
    """A worker with its imports provided; runs one instance at a time."""

    def __init__(self, runtime: Runtime, path: Path, linked: LinkedProgram, grant: Grant) -> None:
        self._runtime = runtime
        self._path = path
        self._linked = linked
        self._grant = grant

    def run(
        self,
        *,
        session: Session | None,
        limits: Limits | None = None,
        clock: Clock = NO_CLOCK,
        arguments: Sequence[str] = (),
        environ: Sequence[tuple[str, str]] = (),
        stdin: bytes | None = None,
        stdout: Listener | None = None,
        stderr: Listener | None = None,
        inherit: bool = False,
    ) -> GuestRun:
        """Run a fresh instance to its end.

        It has the runtime's limits unless it is given its own, and until its clock says that
        the time is over.

        Without `stdout` the guest's output is kept in the result; with `inherit` the guest has
        this process's own stdin and, without `stdout`, its own stdout.

        Raises:
            WorkerFailed: it trapped. BadModel: it trapped over a model.
            LimitExceeded: it reached a limit.
        """
        limits = limits or self._runtime.limits
        output = Output(limits.output)
        kept: list[bytes] = []
        heard = Heard(stderr or (lambda data: None))
        setup = setup_of(
            self._grant,
            [self._name, *arguments],
            environ,
            output,
            stdin=stdin,
            stdout=stdout or (None if inherit else kept.append),
            stderr=heard,
            inherit=inherit,
        )
        if session is not None:
            session.say = written_to(setup)
        try:
            exit_code = self._start(setup, session, limits, clock)
        except WorkerFailed as error:
            if output.exceeded:  # interpreters trap when they cannot write
                raise output.error() from error
            full = self._what_is_full(limits)
            if full is not None:
                raise full from error
            failure = session.failure if session is not None else None
            ended = GuestRun(b"", 1, None, failure, error.hint or self._hint(heard, session))
            raise explain(ended, error.message) from error.__cause__
        except LimitExceeded as error:
            # a guest that goes on after its output was cut off runs until its time is over
            raise (output.error() if output.exceeded else error) from None
        if output.exceeded:
            raise output.error()
        full = self._what_is_full(limits) if exit_code != 0 else None
        if full is not None:
            raise full
        return GuestRun(
            b"".join(kept),
            exit_code,
            session.last_output if session else None,
            session.failure if session else None,
            self._hint(heard, session),
            session.inference_seconds if session else 0.0,
            session.outputs if session else NOTHING,
        )

    @property
    def _name(self) -> str:
        return self._grant.shown or self._path.name

    def _what_is_full(self, limits: Limits) -> LimitExceeded | None:
        """The limit of memory that a guest failed for, as far as can be told."""
        # wasmtime denies memory without telling the host: a guest that failed with nearly all
        # it may have is taken to have failed for want of more
        used, process = self._linked.memory_used, self._linked.process_memory_used
        if used >= limits.memory * 7 // 8:
            return exceeded("memory", limits.memory, f"the worker failed with {used} bytes in use")
        if process >= limits.process_memory * 7 // 8:
            what = f"the worker failed with {process} bytes in use by the process"
            return exceeded("process_memory", limits.process_memory, what)
        return None

    def _hint(self, heard: Heard, session: Session | None) -> str | None:
        # a failed WASI-NN call explains a failure, unless the guest itself says otherwise
        if session is not None and session.failure is not None and not was_refused(heard.text):
            return None
        return remedy(self._grant.mounts, heard.text)

    def _start(self, setup: Setup, session: Session | None, limits: Limits, clock: Clock) -> int:
        if clock.over:
            raise timeout_error(limits)
        try:
            return self._linked.start(setup, session, limits, clock)
        except CannotMount as e:
            raise BadWorker(f"a folder cannot be mounted: {e}") from e
        except Trapped as e:
            if clock.over:
                raise timeout_error(limits) from e
            raise self._trapped(e, limits) from e

    def _trapped(self, trapped: Trapped, limits: Limits) -> WorkerFailed | LimitExceeded:
        why = sentence(str(trapped))
        name = trapped.limit or limit_hit(why)
        if name is not None:
            value = getattr(limits, name)
            return exceeded(name, value, f"worker {self._name} wants more ({why})")
        return WorkerFailed(f"worker {self._name} trapped: {why}")


def read_program(path: Path) -> bytes:
    """The bytes of a worker's file. Raises BadWorker."""
    try:
        return beneath.read(path, MAX_WORKER_BYTES)
    except FileNotFoundError:
        raise BadWorker(f"worker {path} does not exist", "check the path") from None
    except IsADirectoryError:
        raise BadWorker(f"worker {path} is a folder", "name the .wasm file in it") from None
    except OSError as e:
        raise BadWorker(f"worker {path} cannot be read: {e.strerror}") from e


def _program(runtime: Runtime, path: Path) -> Program:
    code = read_program(path)
    if runtime.admit is not None:
        runtime.admit(path, code)
    # imported when needed, to start faster
    if code.startswith(CORE):
        from wasmlrun.sandbox.core import CoreProgram

        return CoreProgram(runtime, path, code)
    if code.startswith(AHEAD):
        from wasmlrun.sandbox.core import CoreProgram

        return CoreProgram(runtime, path, code, ahead=True)
    if code.startswith(COMPONENT):
        from wasmlrun.sandbox.component import ComponentProgram

        return ComponentProgram(runtime, path, code)
    raise no_program(path, code[:64]) or BadWorker(f"worker {path} is no program")
