"""The host: what a guest is made with and run in, in one record.

A command makes one for itself; a process that serves many makes one and, by `replace`, for
each run one with a grant, limits and a clock of its own. Engines, graphs and cache are shared.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Settings
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.clock import Clock, Runtime, prepare_alarm
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.limits import Limits
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.records import NOTHING, Record
from wasmlrun.support.userdata import cache_dir
from wasmlrun.trace.spans import span
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

if TYPE_CHECKING:
    from wasmlrun.sandbox.outcome import GuestRun
    from wasmlrun.sandbox.setup import Listener
    from wasmlrun.sandbox.worker import LinkedWorker, Worker
    from wasmlrun.support.tensor import Tensor
    from wasmlrun.trace.recorder import Trace


class EngineChoice(TypedDict):
    """What a user says about engines, as a process is told that serves many calls."""

    backend: str | None
    device: str | None
    strict_device: bool
    precision: str
    cache: bool


class Host(Record):
    """Everything that guests run with. Threads may share it."""

    graphs: GraphPool
    """The engines, what they have loaded, and the board that says what they are at."""
    cache: Cache = Cache(None)
    trace: Trace | None = None
    """What records the runs, if somebody wants to see."""
    models: Mapping[str, ModelSource] = NOTHING
    """Models that guests may load by name."""
    limits: Limits = Limits()
    """Of each run. Whether instructions are counted is decided when a worker is compiled."""
    grant: Grant = Grant()
    clock: Clock = Clock()
    """When a run's time is over."""

    @classmethod
    def of_choice(
        cls,
        choice: EngineChoice,
        board: Board,
        messages: Messages,
        *,
        streams: int = 1,
        threads: int | None = None,
    ) -> Host:
        """A host with the user's cache and engines, for a process that serves many calls.

        `streams` and `threads` are those of `wasmlrun.engines.protocol.Settings`.

        Raises:
            UsageFault: there is no engine of the name, or it is not installed.
        """
        cache = Cache(cache_dir() if choice["cache"] else None)
        engines = EnginePool(
            Settings(choice["precision"], cache, streams=streams, threads=threads),
            backend=choice["backend"],
            device=choice["device"],
            strict_device=choice["strict_device"],
            warn=messages.warn,
        )
        return cls(GraphPool(engines, board), cache)

    @property
    def board(self) -> Board:
        """Where it is said what native code is at work on."""
        return self.graphs.board

    def worker(self, path: Path, shown: str = "", *, many: bool = False) -> Worker:
        """Compile a worker, or restore it from the cache; `shown` is its name in the trace.

        With `many` it is made ready for thousands of runs, none of which inherits a stream.

        Raises:
            BadWorker: no such file, no WebAssembly, not a program, or not signed as demanded.
        """
        from wasmlrun.sandbox.worker import Worker  # not before an engine is at work

        if self.clock.deadline < math.inf:
            prepare_alarm()
        name, compiled = shown or str(path), []

        def compiling() -> AbstractContextManager[None]:
            compiled.append(path)
            return span(self.trace, "compile", worker=name)

        with span(self.trace, "worker", worker=name):
            gate = self.grant.gate
            # an interpreter is wasmlrun's own; its script has passed already
            admit = gate.admit_worker if gate is not None and not self.grant.interpreter else None
            runtime = Runtime(self.limits, self.cache, compiling, admit=admit, many=many)
            made = Worker(runtime, path)
        if self.trace is not None:
            kind = "bytecode, run by Pulley" if made.is_bytecode else "machine code"
            cranelift = "used" if compiled else "not used"
            self.trace.instant("code", "stage", worker=name, kind=kind, cranelift=cranelift)
        return made

    def run(
        self,
        linked: LinkedWorker,
        what: str,
        *,
        arguments: Sequence[str] = (),
        environ: Sequence[tuple[str, str]] = (),
        stdin: bytes | None = None,
        stdout: Listener | None = None,
        stderr: Listener | None = None,
        inherit: bool = False,
        interleaved: Callable[[Tensor], bool] | None = None,
        keeping: bool = False,
        **facts: object,
    ) -> GuestRun:
        """Run a fresh instance to its end, with a WASI-NN session of its own.

        `what` is what it is at, for people; `facts` go into the trace. Streams are those of
        `LinkedWorker.run`; `interleaved` and `keeping` are the session's.

        Raises:
            WorkerFailed: it trapped. BadModel: it trapped over a model.
            LimitExceeded: it reached a limit.
        """
        session = Session(
            self.graphs,
            self.models,
            nhwc_input=self.grant.nhwc_input,
            interleaved=interleaved,
            limits=self.limits,
            allowed_models=self.grant.allowed_models,
            allowed_backends=self.grant.allowed_backends,
            gate=self.grant.gate,
            observer=self.trace.observer() if self.trace is not None else None,
            keeping=keeping,
        )
        try:
            with span(self.trace, "run", **facts), self.board.doing(Stage.GUEST, what):
                return linked.run(
                    session=session,
                    limits=self.limits,
                    clock=self.clock,
                    arguments=arguments,
                    environ=environ,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    inherit=inherit,
                )
        except LimitExceeded as error:
            if session.failure is None:
                raise
            message = f"{error.message} – its last failed WASI-NN call: {session.failure.message}"
            raise LimitExceeded(message, error.hint, limit=error.limit) from error
        finally:
            session.close()
