"""`wasmlrun classify`: images in, labels out."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.commands.line.options import (
    ALL,
    ARGUMENTS,
    DIRS,
    OUTPUT,
    REPORT_FILES,
    WRITABLE,
    report_files,
    typed,
)
from wasmlrun.commands.line.reader import (
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
from wasmlrun.commands.work.classification import ARTEFACT, TOP, Classification, Telling, Wanted
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.messages import Messages

STDOUT = Path("-")
"""What says that the answers go to stdout, as they do anyway."""


def classify_images(
    images: tuple[str, ...],
    worker: str | None,
    as_json: bool,
    trace: Path | None,
    install: bool,
    via: str,
    watch: Path | None,
    show: bool,
    output: Path | None,
    verbosity: int,
    **rest: object,
) -> int:
    """Classify images with a WebAssembly worker and print the top-k labels.

    IMAGE is a file, an https:// address, or - for standard input.
    """
    if not images and watch is None:
        raise UsageFault("Missing argument 'IMAGE...'", "see wasmlrun classify --help")
    files = report_files(rest)
    wanted = typed(Wanted, {name: value for name, value in rest.items() if name not in files})
    messages = Messages(verbosity)
    telling = Telling(as_json, {**files, ARTEFACT: wanted.explain}, show)
    _check_explained(wanted.explain, images)

    def classify(names: tuple[str, ...]) -> int:
        command = Classification(names, worker, wanted, telling, messages)
        return command.run(trace, install=install, ask_server=via == "auto")

    if watch is not None:
        from wasmlrun.commands.work.watch_folder import watch as classify_arrivals

        written = {f"--{name}": path for name, path in {**files, "trace": trace}.items()}
        written.update({"--output": output, "--explain": wanted.explain})
        return classify_arrivals(watch, images, written, classify, messages)
    if output is not None and output != STDOUT:
        from wasmlrun.report.saved import into_file

        return into_file(output, lambda: classify(images))
    return classify(images)


def _check_explained(explain: Path | None, images: tuple[str, ...]) -> None:
    """One picture has one map, and stdout has the answer. Raises UsageFault."""
    if explain is not None and len(images) > 1:
        raise UsageFault(f"--explain {explain} is for one picture", "explain them one by one")
    if explain == Path("-"):
        raise UsageFault("--explain - : stdout has the answer", "name a file to write to")


command = Command(
    "classify",
    classify_images,
    (
        Argument("images", "IMAGE...", many=True, required=False, kind=Name()),
        Option(
            ("--watch",),
            "watch",
            "Classify the pictures that arrive in a folder, until Ctrl-C.",
            File(),
            "FOLDER",
        ),
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
        OUTPUT,
        Option(("--show",), "show", "On a terminal, show the picture too.", Flag()),
        *REPORT_FILES,
        Option(
            ("--explain",),
            "explain",
            "Write FILE as PNG: which parts of the picture count for the first label.",
            File(),
            "FILE",
        ),
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
        WRITABLE,
        ARGUMENTS,
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
