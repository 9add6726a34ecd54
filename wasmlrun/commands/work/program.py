"""One `run`, from the words of the command line to the program's exit code."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.commands.line.options import GuestOptions, limits_of, models_elsewhere
from wasmlrun.report.on_demand import ReportOnDemand
from wasmlrun.support.errors import EXIT_OK

if TYPE_CHECKING:
    from wasmlrun.pipeline.foreign import Named
    from wasmlrun.pipeline.program import ProgramPlan
    from wasmlrun.report.answer import Answer
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.sandbox.outcome import GuestRun
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace
    from wasmlrun.walls.child import Fence


class Wanted(GuestOptions):
    """What the command line says of the program."""

    manifest: Path | None = None
    dirs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    no_nn: bool = False
    writable: tuple[str, ...] = ()
    input_layout: str | None = None
    request: tuple[str, str] | None = None
    """Method and path of a Wasm Workers Server request."""
    body: str | None = None
    raw: bool = False


class Program:
    """A program that runs once, its streams passed through."""

    def __init__(
        self, worker: str, arguments: Sequence[str], wanted: Wanted, messages: Messages
    ) -> None:
        self._worker = worker
        self._arguments = arguments
        self._wanted = wanted
        self._messages = messages
        self._report: ReportOnDemand[Answer] = ReportOnDemand(self._open_report)
        self._recorder: Trace | None = None
        self._elsewhere: Sequence[Named] = ()

    def run(self, trace: Path | None) -> int:
        """Its exit code, or that of what went wrong, which is told."""
        return self._report.run(partial(self._run, trace))

    def _run(self, trace: Path | None) -> int:
        from wasmlrun.commands.line.options import trace_from
        from wasmlrun.commands.work.in_child import in_child

        self._elsewhere = models_elsewhere(self._wanted)
        self._recorder = trace_from(trace, self._messages)
        return in_child(
            self._work,
            self._report,
            self._messages,
            trace=self._recorder,
            limits=limits_of(self._wanted),
            fence=self._fence(),
        )

    def _fence(self) -> Fence:
        from wasmlrun.pipeline.fences import fence_for

        wanted = self._wanted
        return fence_for(
            files=[wanted.body],
            worker=self._worker,
            manifest=wanted.manifest,
            models=[*wanted.models, *(named.words for named in self._elsewhere)],
            dirs=wanted.dirs,
            writable=wanted.writable,
            allow_outside=wanted.allow_outside,
            cached=not wanted.no_cache,
            device=wanted.device,
            required=wanted.require_isolation,
            keys=wanted.trusted_keys,
        )

    def _open_report(self) -> Reporter[Answer]:
        from wasmlrun.report.reporter import silent

        return silent(self._messages)

    # --- in the child -------------------------------------------------------------------------

    def _work(self, board: Board) -> int:
        """The program's exit code. Raises WasmlrunError."""
        from wasmlrun.commands.line.options import cache_from, engines_from
        from wasmlrun.host import Host
        from wasmlrun.nn import GraphPool
        from wasmlrun.pipeline.plan import hosted
        from wasmlrun.pipeline.program import run_program
        from wasmlrun.pipeline.protocols import wws

        wanted = self._wanted
        cache = cache_from(wanted.no_cache, self._messages.detail)
        plan = self._plan(cache)
        for sentence in plan.raised:
            self._messages.warn(sentence)
        engines = engines_from(wanted, cache, self._messages)
        host = Host(GraphPool(engines, board), cache, self._recorder)
        request = wanted.request
        done = run_program(
            plan.worker,
            self._arguments,
            hosted(plan, host),
            self._messages,
            request=wws.local_request(*request, wws.read_body(wanted.body)) if request else None,
            raw=wanted.raw,
        )
        return done.exit_code if request is None else _tell_response(done)

    def _plan(self, cache: Cache) -> ProgramPlan:
        from wasmlrun.pipeline.program import ProgramWishes, plan_program

        wanted = self._wanted
        return plan_program(
            ProgramWishes(
                self._worker,
                manifest=wanted.manifest,
                dirs=wanted.dirs,
                variables=wanted.variables,
                models=wanted.models,
                elsewhere=self._elsewhere,
                no_nn=wanted.no_nn,
                writable=wanted.writable,
                input_layout=wanted.input_layout,
                allow_outside=wanted.allow_outside,
                limits=wanted.limits,
                trusted_keys=wanted.trusted_keys,
                trusted_worker=wanted.trusted_worker,
                cache=cache,
            ),
            # a program's own output is what it is run for: it is bounded only when asked
            bounded=wanted.request is not None,
        )


def _tell_response(done: GuestRun) -> int:
    """The response's body; raises WorkerFailed for one that is an error."""
    from wasmlrun.pipeline.program import response_of
    from wasmlrun.pipeline.protocols import wws
    from wasmlrun.report.stdout import put_bytes
    from wasmlrun.sandbox.outcome import explain

    response = response_of(done)
    put_bytes(response.body)
    wrong = wws.complaint(response)
    if wrong is not None:
        raise explain(done, wrong)
    return EXIT_OK
