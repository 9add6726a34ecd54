"""`wasmlrun run`: any WASI program, its streams passed through."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.commands.line.options import ALL, DIRS, typed
from wasmlrun.commands.line.reader import Argument, Choice, Command, File, Flag, Name, Option
from wasmlrun.commands.work.program import Program, Wanted
from wasmlrun.support.messages import Messages


def run_worker(
    worker: str,
    arguments: tuple[str, ...],
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
    program = Program(worker, arguments, typed(Wanted, rest), Messages(verbosity))
    return program.run(trace)


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
