"""`wasmlrun infer`: any file through any model; boxes, masks, pictures, vectors, text, sound."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.commands.line.options import ALL, ARGUMENTS, DIRS, WRITABLE, GuestOptions
from wasmlrun.commands.line.reader import Argument, Command, File, Flag, Name, Option, Whole
from wasmlrun.inference.outputs import OUTPUTS


class Wanted(GuestOptions):
    """What the command line says of the model and of its answer."""

    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    kind: str | None = None
    chosen: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    dirs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    max_pixels: int | None = None


def infer_file(
    source: str,
    worker: str | None,
    output: Path | None,
    as_json: bool,
    trace: Path | None,
    verbosity: int,
    **rest: object,
) -> int:
    """Give a file to a model and show what its outputs mean.

    INPUT is a picture, a text, an array of numpy's or any file, as the model wants it; - is
    standard input. What the outputs become (boxes, a mask, a picture, a vector, text, sound,
    numbers) is said by [infer] in the manifest beside the model, or by --as.
    """
    from wasmlrun.commands.line.options import (
        cache_from,
        engines_from,
        limits_of,
        models_elsewhere,
        trace_from,
        typed,
    )
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.registry import for_files
    from wasmlrun.report.renderers.artefact import STDOUT
    from wasmlrun.report.reporter import Reporter, open_report
    from wasmlrun.report.views.inference import answer
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages, wanted = Messages(verbosity), typed(Wanted, rest)
    asked, files = Asked("infer", "input", (source,)), {"artefact": output}
    if output == STDOUT:
        report = Reporter(answer, for_files(files, asked), messages)
    else:
        report = open_report(answer, asked, messages, as_json=as_json, files=files)

    def whole() -> int:
        inputs = _named(wanted.inputs)
        elsewhere = models_elsewhere(wanted)
        recorder = trace_from(trace, messages)

        def work(board: Board) -> None:
            from wasmlrun.host import Host
            from wasmlrun.nn import GraphPool
            from wasmlrun.pipeline.inference import infer
            from wasmlrun.pipeline.inference_plan import InferWishes, plan_inference
            from wasmlrun.support.limits import MAX_PIXELS
            from wasmlrun.vision.decode import configure_process

            most = wanted.max_pixels or MAX_PIXELS
            configure_process(most)
            cache = cache_from(wanted.no_cache, messages.detail)
            planned = plan_inference(
                InferWishes(
                    worker=worker,
                    manifest=wanted.manifest,
                    model=wanted.model,
                    labels=wanted.labels,
                    kind=wanted.kind,
                    chosen=wanted.chosen,
                    writable=wanted.writable,
                    dirs=wanted.dirs,
                    arguments=wanted.arguments,
                    allow_outside=wanted.allow_outside,
                    limits=wanted.limits,
                    elsewhere=elsewhere,
                    trusted_keys=wanted.trusted_keys,
                    trusted_worker=wanted.trusted_worker,
                    cache=cache,
                )
            )
            host = Host(GraphPool(engines_from(wanted, cache, messages), board), cache, recorder)
            report.result(
                infer(source, inputs, planned, host, messages, max_pixels=most, written_to=output)
            )

        fence = fence_for(
            files=[source, wanted.labels, *(file for _, file in inputs)],
            worker=worker,
            manifest=wanted.manifest,
            models=[wanted.model, *(named.words for named in elsewhere)],
            dirs=wanted.dirs,
            writable=wanted.writable,
            allow_outside=wanted.allow_outside,
            cached=not wanted.no_cache,
            device=wanted.device,
            required=wanted.require_isolation,
            keys=wanted.trusted_keys,
        )
        limits = limits_of(wanted)
        return in_child(work, report, messages, source, recorder, limits=limits, fence=fence)

    return report.run(whole)


def _named(texts: tuple[str, ...]) -> list[tuple[str, str]]:
    """`NAME=FILE` each; the name is a model's, and may have an = itself. Raises UsageFault."""
    from wasmlrun.support.errors import UsageFault

    found = []
    for text in texts:
        name, equals, file = text.rpartition("=")
        if not name or not equals or not file:
            raise UsageFault(f"--input {text}: not of the form NAME=FILE", "--input style=a.npy")
        found.append((name, file))
    return found


command = Command(
    "infer",
    infer_file,
    (
        Argument("source", "INPUT", kind=Name()),
        Option(
            ("--model",),
            "model",
            "Any model that an engine reads, or the name of one that is pulled.",
            Name("models_here"),
            "[NAME=]FILE|NAME",
        ),
        Option(
            ("--as",),
            "kind",
            f"What the outputs become: {', '.join(OUTPUTS)}.",
            metavar="KIND",
        ),
        Option(
            ("-o", "--output"),
            "output",
            "Write the picture, the vector, the sound or the numbers to FILE; - is stdout.",
            File(),
            "FILE",
        ),
        Option(
            ("--set",),
            "chosen",
            "A key of [infer], such as output.threshold=0.6; repeatable.",
            metavar="KEY=VALUE",
            multiple=True,
        ),
        Option(
            ("--input",),
            "inputs",
            "An array (.npy) for another input of the model; repeatable.",
            metavar="NAME=FILE",
            multiple=True,
        ),
        Option(
            ("--worker",),
            "worker",
            "WebAssembly worker. Default: the bundled one, which fetches every output.",
            Name("workers"),
            "FILE|NAME",
        ),
        Option(("--manifest",), "manifest", "Manifest to use.", File(), "FILE"),
        Option(("--labels",), "labels", "Label file, one label a line.", File(), "FILE"),
        Option(("--json",), "as_json", "One JSON object.", Flag()),
        DIRS,
        WRITABLE,
        ARGUMENTS,
        Option(
            ("--max-pixels",),
            "max_pixels",
            "Refuse larger pictures. Default: 100 megapixels.",
            Whole(1),
            "N",
        ),
        *ALL,
    ),
)
