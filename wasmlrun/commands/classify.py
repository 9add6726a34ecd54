"""`wasmlrun classify`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from wasmlrun.commandline import (
    VERBOSITY,
    Argument,
    Choice,
    Command,
    File,
    Flag,
    Number,
    Option,
    Whole,
)
from wasmlrun.commands.options import CACHE, DEVICE, LIMITS, TRACE


def classify_images(
    images: tuple[str, ...],
    worker: str | None,
    manifest: Path | None,
    model: str | None,
    labels: Path | None,
    top: int,
    as_json: bool,
    expect: str | None,
    min_score: float | None,
    dirs: tuple[str, ...],
    writable: tuple[str, ...],
    arguments: tuple[str, ...],
    input_layout: str | None,
    max_pixels: int | None,
    trace: Path | None,
    install: bool,
    verbosity: int,
    **rest: Any,
) -> int:
    """Classify images with a WebAssembly worker and print the top-k labels.

    IMAGE is a file, or - for standard input.
    """
    from wasmlrun.commands.options import cache_from, chosen_limits, trace_from
    from wasmlrun.death import error_of
    from wasmlrun.errors import EXIT_INTERRUPTED, WasmlrunError
    from wasmlrun.limits import MAX_PIXELS
    from wasmlrun.messages import Messages
    from wasmlrun.report import choose
    from wasmlrun.stages import Board, Stage
    from wasmlrun.supervise import Death, supervise

    messages = Messages(verbosity)
    report = choose(as_json)
    if worker is not None and not worker.endswith(".wasm"):
        from wasmlrun.commands.options import interpreter

        # here and not in the child: it may ask, and the time limit is not for it
        try:
            interpreter(Path(worker), messages, install=install)
        except WasmlrunError as error:
            report.failure(None, error)
            messages.error(error)
            return error.exit_code
    recorder = trace_from(trace, messages)

    def fail(image: str | None, error: WasmlrunError) -> int:
        report.failure(image, error)
        messages.error(error)
        return error.exit_code

    def work(board: Board) -> int:
        from wasmlrun.backends.openvino import OpenVINO
        from wasmlrun.process import keep_one_heap
        from wasmlrun.tasks import Task, parallel

        if len(images) == 1:
            keep_one_heap()
        cache = cache_from(rest["no_cache"], messages.detail)
        backend = OpenVINO(rest["precision"], cache, parallel(len(images), careful=board.careful))
        if not board.careful:
            Task(backend.prepare)
        from wasmlrun.imagefile import STDIN, missing
        from wasmlrun.paths import exists
        from wasmlrun.plan import Options, Wishes, make_plan

        try:
            if all(name != STDIN and not exists(Path(name)) for name in images):
                # the cheapest and commonest mistake is told before all others
                return max(fail(name, missing(name)) for name in images)
            plan = make_plan(
                Wishes(
                    worker,
                    manifest,
                    model,
                    labels,
                    writable,
                    input_layout,
                    arguments,
                    rest["allow_outside"],
                    chosen_limits(rest),
                    dirs,
                )
            )
            options = Options(
                top=top,
                expect=expect,
                min_score=min_score,
                device=rest["device"],
                strict_device=rest["strict_device"],
                max_pixels=max_pixels or MAX_PIXELS,
            )
            from wasmlrun.classify import classify

            return classify(
                images, plan, options, backend, cache, board, report, messages, recorder
            )
        except WasmlrunError as error:
            return fail(None, error)

    def on_death(death: Death, board: Board) -> int | None:
        if not death.timed_out and not board.careful:
            # much went on side by side: once more, one thing at a time, to see what it was
            board.careful = True
            return None
        error = error_of(death, board.timeout)
        if recorder is not None:
            recorder.instant("killed", error=error.message)
        code = fail(images[board.done] if board.done < len(images) else None, error)
        board.report(board.done + 1, board.code or code)
        # another image may fare better; another try of the same model would not
        hopeless = death.timed_out or any(d.stage is Stage.MODEL for d in death.doing)
        return board.code if hopeless or board.done >= len(images) else None

    code = supervise(work, on_death, messages)
    if recorder is not None and code == EXIT_INTERRUPTED:
        recorder.instant("interrupted")
    return code


command = Command(
    "classify",
    classify_images,
    (
        Argument("images", "IMAGE...", many=True),
        Option(
            ("--worker",),
            "worker",
            "WebAssembly worker; its manifest is the .toml beside it. Default: the bundled worker.",
            metavar="FILE|NAME",
        ),
        Option(("--manifest",), "manifest", "Manifest to use instead.", File(), "FILE"),
        Option(
            ("--model",),
            "model",
            "ONNX, TFLite, OpenVINO IR or frozen TensorFlow model; needs no manifest.",
            metavar="FILE|NAME",
        ),
        Option(("--labels",), "labels", "Label file, one label a line.", File(), "FILE"),
        Option(
            ("-k", "--top"),
            "top",
            "How many predictions to print.",
            Whole(1),
            "N",
            default=5,
            show_default=True,
        ),
        Option(("--json",), "as_json", "JSON Lines, one object an image.", Flag()),
        Option(
            ("--expect",),
            "expect",
            "Exit 1 unless the first prediction is LABEL (a comma-separated list of synonyms).",
            metavar="LABEL",
        ),
        Option(
            ("--min-score",),
            "min_score",
            "Exit 1 unless the first score is at least X.",
            Number(),
            "X",
        ),
        Option(
            ("--dir",),
            "dirs",
            "Mount a folder; repeatable.",
            metavar="HOST:GUEST[:rw]",
            multiple=True,
        ),
        Option(
            ("--writable",),
            "writable",
            "Let the worker write to a mounted folder.",
            metavar="GUEST_PATH",
            multiple=True,
        ),
        Option(
            ("--arg",),
            "arguments",
            "Argument for the worker's own command line; repeatable.",
            metavar="ARG",
            multiple=True,
        ),
        Option(
            ("--input-layout",),
            "input_layout",
            "nhwc: the worker's bytes are H×W×C although its dims say N,C,H,W.",
            Choice(("nhwc", "nchw")),
        ),
        Option(
            ("--max-pixels",),
            "max_pixels",
            "Refuse larger images. Default: 100 megapixels.",
            Whole(1),
            "N",
        ),
        Option(
            ("--install",),
            "install",
            "For a worker that is a script: prepare its interpreter if need be.",
            Flag(),
        ),
        *DEVICE,
        *LIMITS,
        CACHE,
        TRACE,
        *VERBOSITY,
    ),
)
