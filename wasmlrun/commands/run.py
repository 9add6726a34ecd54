"""`wasmlrun run`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.commands.options import ALL, DIRS
from wasmlrun.commands.reader import Argument, Choice, Command, File, Flag, Option

if TYPE_CHECKING:
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
    body: str | None,
    trace: Path | None,
    verbosity: int,
    **rest: Any,
) -> int:
    """Run any WASI program in the sandbox.

    Its standard streams and exit code are passed through. What follows -- is the program's own
    command line. Without a manifest these options are all that the program gets; there is
    never a network.
    """
    from wasmlrun.commands.options import cache_from, chosen_limits, engines_from, trace_from
    from wasmlrun.commands.watched import in_child
    from wasmlrun.report.reporter import silent
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import EXIT_OK
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = silent(messages)
    recorder: Trace | None = None

    def work(board: Board) -> int:
        from wasmlrun.pipeline.plan import (
            Wishes,
            find_manifest,
            find_worker,
            interpreted,
            named_models,
            preloaded,
        )
        from wasmlrun.pipeline.program import grant_of, response_body, run_program
        from wasmlrun.pipeline.protocols import wws
        from wasmlrun.report.stdout import put_bytes
        from wasmlrun.support.limits import Limits, lowered, raised, with_limits
        from wasmlrun.support.records import replace

        path = find_worker(worker)
        found = find_manifest(Wishes(worker, manifest, allow_outside=rest["allow_outside"]), path)
        # a program's own output is what it is run for: it is bounded only when asked
        unbounded = replace(Limits(), output=None if request is None else Limits().output)
        asked = found.limits if found else {}
        limits = with_limits(lowered(unbounded, asked), chosen_limits(rest))
        for sentence in raised(unbounded, asked):
            messages.warn(sentence)
        cache = cache_from(rest["no_cache"], messages.detail)
        engines = engines_from(rest, cache, messages)
        path, grant = interpreted(
            path, grant_of(found, dirs, variables, writable, input_layout, no_nn=no_nn)
        )
        run = run_program(
            path,
            arguments,
            grant,
            {
                **(preloaded(found) if found else {}),
                **named_models(models, allow_outside=rest["allow_outside"]),
            },
            engines,
            limits,
            cache,
            board,
            messages,
            request=wws.request(*request, wws.read_body(body)) if request else None,
            trace=recorder,
        )
        if request is None:
            return run.exit_code
        put_bytes(response_body(run))
        return EXIT_OK

    def whole() -> int:
        nonlocal recorder
        recorder = trace_from(trace, messages)
        return in_child(work, report, messages, trace=recorder)

    return report.run(whole)


command = Command(
    "run",
    run_worker,
    (
        Argument("worker"),
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
        Option(("--body",), "body", "Body of the request; - is standard input.", metavar="FILE"),
        *ALL,
    ),
)
