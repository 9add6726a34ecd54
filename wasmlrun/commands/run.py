"""`wasmlrun run`: any WASI program, its streams passed through."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.commands.options import ALL, DIRS
from wasmlrun.commands.reader import Argument, Choice, Command, File, Flag, Name, Option

if TYPE_CHECKING:
    from wasmlrun.pipeline.foreign import Named
    from wasmlrun.trace.recorder import Trace


def run_worker(
    worker: str,
    arguments: tuple[str, ...],
    manifest: Path | None,
    dirs: tuple[str, ...],
    variables: tuple[str, ...],
    models: tuple[str, ...],
    no_nn: bool,
    writable: tuple[str, ...],
    input_layout: str | None,
    request: tuple[str, str] | None,
    raw: bool,
    body: str | None,
    trace: Path | None,
    verbosity: int,
    **rest: object,
) -> int:
    """Run any WASI program in the sandbox.

    Its standard streams and exit code are passed through; a terminal is spared control
    characters unless --raw is given. What follows -- is the program's own
    command line. Without a manifest these options are all that the program gets; there is
    never a network.
    """
    from wasmlrun.commands.options import (
        GuestOptions,
        cache_from,
        engines_from,
        limits_of,
        models_elsewhere,
        trace_from,
        typed,
    )
    from wasmlrun.commands.watched import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.reporter import silent
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import EXIT_OK
    from wasmlrun.support.messages import Messages

    messages, options = Messages(verbosity), typed(GuestOptions, rest)
    report = silent(messages)
    recorder: Trace | None = None
    elsewhere: Sequence[Named] = ()

    def work(board: Board) -> int:
        from wasmlrun.host import Host
        from wasmlrun.nn import GraphPool
        from wasmlrun.pipeline.plan import hosted
        from wasmlrun.pipeline.program import (
            ProgramWishes,
            plan_program,
            response_of,
            run_program,
        )
        from wasmlrun.pipeline.protocols import wws
        from wasmlrun.report.stdout import put_bytes
        from wasmlrun.sandbox.outcome import explain

        plan = plan_program(
            ProgramWishes(
                worker,
                manifest=manifest,
                dirs=dirs,
                variables=variables,
                models=models,
                elsewhere=elsewhere,
                no_nn=no_nn,
                writable=writable,
                input_layout=input_layout,
                allow_outside=options.allow_outside,
                limits=options.limits,
            ),
            # a program's own output is what it is run for: it is bounded only when asked
            bounded=request is not None,
        )
        for sentence in plan.raised:
            messages.warn(sentence)
        cache = cache_from(options.no_cache, messages.detail)
        host = Host(GraphPool(engines_from(options, cache, messages), board), cache, recorder)
        run = run_program(
            plan.worker,
            arguments,
            hosted(plan, host),
            messages,
            request=wws.local_request(*request, wws.read_body(body)) if request else None,
            raw=raw,
        )
        if request is None:
            return run.exit_code
        response = response_of(run)
        put_bytes(response.body)
        wrong = wws.complaint(response)
        if wrong is not None:
            raise explain(run, wrong)
        return EXIT_OK

    def whole() -> int:
        nonlocal recorder, elsewhere
        elsewhere = models_elsewhere(options)
        recorder = trace_from(trace, messages)
        fence = fence_for(
            files=[body],
            worker=worker,
            manifest=manifest,
            models=[*models, *(named.words for named in elsewhere)],
            dirs=dirs,
            writable=writable,
            allow_outside=options.allow_outside,
            cached=not options.no_cache,
            device=options.device,
            required=options.require_isolation,
        )
        limits = limits_of(options)
        return in_child(work, report, messages, trace=recorder, limits=limits, fence=fence)

    return report.run(whole)


command = Command(
    "run",
    run_worker,
    (
        Argument("worker", kind=Name("workers")),
        Argument("arguments", "[-- ARGS...]", many=True, required=False),
        Option(("--manifest",), "manifest", "Manifest to use.", File(), "FILE"),
        DIRS,
        Option(
            ("--env",),
            "variables",
            "Set a variable; repeatable.",
            metavar="NAME=VALUE",
            multiple=True,
        ),
        Option(
            ("--model",),
            "models",
            "A model the program may load by name; repeatable.",
            metavar="[NAME=]FILE",
            multiple=True,
        ),
        Option(("--no-nn",), "no_nn", "Provide no WASI-NN.", Flag()),
        Option(
            ("--writable",),
            "writable",
            "Make a mount writable.",
            metavar="GUEST_PATH",
            multiple=True,
        ),
        Option(
            ("--input-layout",),
            "input_layout",
            "nhwc: tensors' bytes are H×W×C although their dims say N,C,H,W.",
            Choice(("nhwc", "nchw")),
        ),
        Option(
            ("--request",),
            "request",
            "Send a Wasm Workers Server request and print the response's body.",
            metavar="METHOD PATH",
            words=2,
        ),
        Option(
            ("--raw",),
            "raw",
            "Let the program's control characters through to a terminal; a pipe or file has them.",
            Flag(),
        ),
        Option(("--body",), "body", "Body of the request; - is standard input.", metavar="FILE"),
        *ALL,
    ),
)
