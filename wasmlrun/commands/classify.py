"""`wasmlrun classify`: images in, labels out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.commands.options import ALL, DIRS, REPORT_FILES, GuestOptions
from wasmlrun.commands.reader import (
    Argument,
    Choice,
    Command,
    File,
    Flag,
    Name,
    Number,
    Option,
    Whole,
)

if TYPE_CHECKING:
    from wasmlrun.pipeline.result import Report
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace
    from wasmlrun.vision.source import ImageSource


TOP = 5
"""Predictions that are printed when nobody says how many."""


class Wanted(GuestOptions):
    """What the command line says, but for what decides how the answer is told."""

    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    top: int | None = None
    expect: str | None = None
    min_score: float | None = None
    dirs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    input_layout: str | None = None
    max_pixels: int | None = None


def classify_images(
    images: tuple[str, ...],
    worker: str | None,
    as_json: bool,
    trace: Path | None,
    install: bool,
    via: str,
    verbosity: int,
    **rest: object,
) -> int:
    """Classify images with a WebAssembly worker and print the top-k labels.

    IMAGE is a file, an https:// address, or - for standard input.
    """
    from functools import partial

    from wasmlrun.commands.options import (
        limits_of,
        models_elsewhere,
        report_files,
        trace_from,
        typed,
    )
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.stdout import Gathered, writing
    from wasmlrun.report.views.images import answer
    from wasmlrun.support.messages import Messages

    messages, files = Messages(verbosity), report_files(rest)
    wanted = typed(Wanted, {name: value for name, value in rest.items() if name not in files})
    asked = Asked("classify", "image", images)
    out = Gathered(sys.stdout)
    # who says how many wants to see so many
    view = partial(answer, every=wanted.top is not None)
    report = open_report(view, asked, messages, as_json=as_json, files=files, stream=out)

    def whole() -> int:
        _check_score(wanted.min_score)
        if via == "auto" and trace is None and verbosity <= 0:
            code = _via_server(images, worker, wanted, report, messages)
            if code is not None:
                return code
        # not before: with a server's answer none of these is needed
        from wasmlrun.pipeline.fences import fence_for
        from wasmlrun.supervisor.blame import supervised
        from wasmlrun.supervisor.outbox import Letter

        if worker is not None and not worker.endswith(".wasm"):
            from wasmlrun.commands.options import interpreter

            # here and not in the child: it may ask, and the time limit is not for it
            interpreter(Path(worker), messages, install=install)
        recorder = trace_from(trace, messages)
        fetched: Mapping[str, ImageSource] = {}
        if any("://" in name for name in images):
            from wasmlrun.models.progress import watching
            from wasmlrun.pipeline.fetched import fetch_images

            with watching(messages) as watcher:
                fetched = fetch_images(images, watcher)

        def work(board: Board) -> int:
            from wasmlrun.vision.source import ImageFile, missing, none_is_there

            def deliver(tell: Callable[[], int]) -> None:
                out.through = False
                try:
                    with messages.aside() as said:
                        code = tell()
                    heard = said.getvalue().encode(errors="backslashreplace")
                    with writing():
                        board.deliver(Letter(code, out.taken(), heard))
                finally:
                    out.through = True

            # the cheapest and commonest mistake, told before all others
            if not fetched and none_is_there(images):
                return max(report.fail(missing(name), name) for name in images)
            return report.attempt(
                lambda: _work(
                    [fetched.get(name) or ImageFile(name) for name in images],
                    worker,
                    wanted,
                    board,
                    report,
                    messages,
                    recorder,
                    deliver,
                )
            )

        elsewhere = models_elsewhere(wanted)
        fence = fence_for(
            files=(*(name for name in images if name not in fetched), wanted.labels),
            worker=worker,
            manifest=wanted.manifest,
            models=[wanted.model, *(named.words for named in elsewhere)],
            dirs=wanted.dirs,
            writable=wanted.writable,
            allow_outside=wanted.allow_outside,
            cached=not wanted.no_cache,
            device=wanted.device,
            required=wanted.require_isolation,
        )
        limits = limits_of(wanted)
        return supervised(work, told, messages, recorder, again, limits=limits, fence=fence)

    def again(death: Death, board: Board) -> bool:
        if death.timed_out or board.careful:
            return False
        # much went on side by side: once more, one thing at a time, to see what it was
        board.careful = True
        return True

    def told(error: WasmlrunError, death: Death, board: Board) -> int | None:
        from wasmlrun.supervisor.stages import Stage

        code = report.fail(error, images[board.done] if board.done < len(images) else None)
        board.report(board.done + 1, board.code or code)
        # another image may fare better; another try of the same model would not
        hopeless = death.timed_out or any(d.stage is Stage.MODEL for d in death.doing)
        return board.code if hopeless or board.done >= len(images) else None

    return report.run(whole)


def _via_server(
    images: Sequence[str],
    worker: str | None,
    wanted: Wanted,
    report: Report,
    messages: Messages,
) -> int | None:
    """The exit code when a server that runs already had the answers, else None."""
    from wasmlrun.serve.ask import outcomes
    from wasmlrun.support.records import defaults

    said = {name: getattr(wanted, name) for name in defaults(Wanted)}
    found = outcomes(images, worker, {**said, "top": wanted.top or TOP})
    if found is None:
        return None
    from wasmlrun.pipeline.honesty import about_model
    from wasmlrun.pipeline.result import ImageResult
    from wasmlrun.pipeline.telling import combined, tell_outcome

    code, models = 0, set()
    for name, outcome in found:
        code = combined(code, tell_outcome(name, outcome, report, messages))
        if isinstance(outcome, ImageResult):
            models.add(outcome.model)
    for note in filter(None, map(about_model, models)):
        messages.info(note)
    return code


def _check_score(least: float | None) -> None:
    """Scores are shares. Raises UsageFault for what no score can reach."""
    from wasmlrun.support.errors import UsageFault

    if least is not None and not 0 <= least <= 1:
        raise UsageFault(
            f"--min-score {least:g}: scores are from 0 to 1",
            f"write --min-score {least / 100:g}" if 0 < least <= 100 else None,
        )


def _work(
    images: Sequence[ImageSource],
    worker: str | None,
    wanted: Wanted,
    board: Board,
    report: Report,
    messages: Messages,
    recorder: Trace | None,
    deliver: Callable[[Callable[[], int]], None],
) -> int:
    """What is done in the child; its exit code.

    Raises:
        WasmlrunError: nothing could be classified.
    """
    from wasmlrun.commands.options import cache_from, engines_from, models_elsewhere
    from wasmlrun.support.limits import MAX_PIXELS
    from wasmlrun.support.model_source import encoding_named
    from wasmlrun.support.process import keep_one_heap
    from wasmlrun.support.tasks import Task, parallel, quick_handover

    if len(images) == 1:
        keep_one_heap()
    cache = cache_from(wanted.no_cache, messages.detail)
    streams = parallel(len(images), careful=board.careful)
    engines = engines_from(wanted, cache, messages, streams)
    if not board.careful and not _brings_its_model(worker):
        encoding = encoding_named(wanted.model) if wanted.model is not None else None
        Task(lambda: engines.prepare(encoding))  # while the rest is imported
    with quick_handover():
        from wasmlrun.host import Host
        from wasmlrun.nn import GraphPool
        from wasmlrun.pipeline.plan import ClassifyOptions, Wishes, make_plan

        plan = make_plan(
            Wishes(
                worker=worker,
                manifest=wanted.manifest,
                model=wanted.model,
                labels=wanted.labels,
                writable=wanted.writable,
                input_layout=wanted.input_layout,
                arguments=wanted.arguments,
                allow_outside=wanted.allow_outside,
                limits=wanted.limits,
                dirs=wanted.dirs,
                elsewhere=models_elsewhere(wanted),
            )
        )
    options = ClassifyOptions(
        top=wanted.top or TOP,
        expect=wanted.expect,
        min_score=wanted.min_score,
        max_pixels=wanted.max_pixels or MAX_PIXELS,
    )
    from wasmlrun.pipeline.per_command import classify

    host = Host(GraphPool(engines, board), cache, recorder)
    return classify(images, plan, options, host, report, messages, deliver)


def _brings_its_model(worker: str | None) -> bool:
    """Whether no engine will be needed."""
    if worker is None or not worker.endswith((".wasm", ".cwasm")):
        return False
    from wasmlrun.tiny.description import is_packed

    return is_packed(Path(worker))


command = Command(
    "classify",
    classify_images,
    (
        Argument("images", "IMAGE...", many=True, kind=Name()),
        Option(
            ("--worker",),
            "worker",
            "WebAssembly worker; its manifest is the .toml beside it. Default: the bundled worker.",
            Name("workers"),
            "FILE|NAME",
        ),
        Option(("--manifest",), "manifest", "Manifest to use instead.", File(), "FILE"),
        Option(
            ("--model",),
            "model",
            "ONNX, TFLite, OpenVINO IR, frozen TensorFlow or PyTorch model; needs no manifest.",
            Name("models_here"),
            "[NAME=]FILE|NAME",
        ),
        Option(("--labels",), "labels", "Label file, one label a line.", File(), "FILE"),
        Option(
            ("-k", "--top"),
            "top",
            f"How many predictions to print. Default: {TOP}, in a table without those of 0.0 %.",
            Whole(1),
            "N",
        ),
        Option(("--json",), "as_json", "JSON Lines, one object an image.", Flag()),
        *REPORT_FILES,
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
        DIRS,
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
            ("--via",),
            "via",
            "auto: ask a server of yours that serves the same; without one, as ever.",
            Choice(("auto", "off")),
            default="off",
            show_default=True,
        ),
        Option(
            ("--install",),
            "install",
            "For a worker that is a script: prepare its interpreter if need be.",
            Flag(),
        ),
        *ALL,
    ),
)
