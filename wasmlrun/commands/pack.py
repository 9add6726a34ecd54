"""`wasmlrun pack`: a small model as one module that needs no engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.line.clickform import verbosity_options, with_options
from wasmlrun.commands.line.options import ISOLATION, READING
from wasmlrun.support.errors import EXIT_OK

if TYPE_CHECKING:
    from wasmlrun.supervisor.channel import Message
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.model_source import ModelSource
    from wasmlrun.tiny.pack import Packed, Subject
    from wasmlrun.tiny.ready import Ready

MOST_READ = 5 << 30
"""Bytes of a model made ready: what fits into a module's memory, and what is said of it."""


@click.command("pack", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Default: MODEL.wasm here.")
@click.option("--labels", type=click.Path(path_type=Path), help="Label file, one label a line.")
@click.option(
    "--manifest",
    type=click.Path(path_type=Path),
    help="Take [classify] from this manifest: how a picture becomes the input.",
)
@click.option(
    "--simd",
    type=click.Choice(["none", "simd", "relaxed"]),
    default="simd",
    show_default=True,
    help="Vector instructions: none runs on the smallest hosts.",
)
@click.option("--relaxed-simd", "relaxed", is_flag=True, help="The same as --simd relaxed.")
@click.option("--decode", is_flag=True, help="Let it take JPEG and PNG files too.")
@click.option("--html", is_flag=True, help="Write a page too, NAME.html, that works from a file.")
@click.option("--emit", type=click.Choice(["c"]), help="Keep the C in OUTPUT's folder, as NAME-c.")
@click.option("--install", is_flag=True, help="Install the compiler (zig) if it is missing.")
@with_options(*READING, ISOLATION)
@verbosity_options
def command(
    model: str,
    output: Path | None,
    labels: Path | None,
    manifest: Path | None,
    simd: str,
    relaxed: bool,
    decode: bool,
    html: bool,
    emit: str | None,
    install: bool,
    require_isolation: bool,
    verbosity: int,
    **limits: object,
) -> int:
    """Pack MODEL into one WebAssembly module that needs no engine.

    MODEL is a TensorFlow Lite or ONNX file, or the name of a model. The module is a WASI
    program, a worker for classify, and a library: input, infer, output. The limits are of
    reading MODEL; the compiler takes as long as it takes.
    """
    from wasmlrun.commands.line.options import bounds_of
    from wasmlrun.commands.work.in_child import asked_of_child, terminable
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = silent(messages)

    def read(_: Board) -> Message:
        from wasmlrun.supervisor.channel import Message
        from wasmlrun.tiny import ready
        from wasmlrun.tiny.pack import make_ready

        made = make_ready(_subject(model, labels, manifest), decode=decode or html)
        return Message(*ready.packed(made))

    def work() -> int:
        from wasmlrun.tiny.pack import Order, compile_ready
        from wasmlrun.toolkit.toolchains.installer import Installer

        fence = fence_for(
            files=[labels],
            manifest=manifest,
            models=[model],
            cached=False,
            required=require_isolation,
        )
        bounds = bounds_of(limits, endless=False)
        told = asked_of_child(read, report, messages, most=MOST_READ, limits=bounds, fence=fence)
        if isinstance(told, int):
            return told
        name = _name_of(model)
        target = output or Path(Path(f"{name}.wasm").name)
        order = Order(
            name,
            target,
            "relaxed" if relaxed else simd,
            decode or html,
            keep=target.with_name(f"{target.stem}-c") if emit else None,
            page=target.with_suffix(".html") if html else None,
        )
        installer = Installer(messages, allowed=True if install else None)
        _tell(compile_ready(_ready_from(told), order, installer), messages)
        return EXIT_OK

    return report.run(lambda: terminable(work))


def _subject(model: str, labels: Path | None, manifest: Path | None) -> Subject:
    """What is to be packed, its model read. Raises WasmlrunError."""
    from wasmlrun.manifest.grant import Grant
    from wasmlrun.manifest.manifest import Classify
    from wasmlrun.manifest.reader import read_manifest
    from wasmlrun.pipeline.plan import find_model
    from wasmlrun.pipeline.trusted import with_gate
    from wasmlrun.tiny.pack import Subject
    from wasmlrun.vision.labels import read_labels

    _, source, settings = find_model(model)
    source = _packable(model, source)
    grant = Grant()
    if manifest is not None:
        named = read_manifest(manifest)
        settings, grant = named.classify or Classify(), Grant(demand=named.trust)
    with_gate(grant, [source])
    label_file = labels or settings.labels
    return Subject(model, source, settings, read_labels(label_file) if label_file else None)


def _ready_from(told: Message) -> Ready:
    """What the process that read the model made of it. Raises WorkerFailed for anything else."""
    from wasmlrun.supervisor.channel import Malformed, failure_of
    from wasmlrun.tiny import ready

    try:
        return ready.unpacked(told.head, told.parts)
    except (ValueError, LookupError, TypeError, AttributeError) as e:
        raise failure_of(Malformed(f"what is no model: {e}")) from e


def _name_of(model: str) -> str:
    """What a model given as `[NAME=]` and a file, a folder or a name is called."""
    from wasmlrun.support.paths import exists, is_dir

    path = Path(model)
    given, equals, rest = model.partition("=")
    if given and equals and rest and not exists(path):
        return given
    if is_dir(path):
        return path.absolute().name
    return path.stem if exists(path) else model


def _packable(model: str, source: ModelSource) -> ModelSource:
    """The ONNX or TensorFlow Lite form of a model whose folder has it beside OpenVINO's."""
    from wasmlrun.support import bundled
    from wasmlrun.support.model_source import Encoding, read_model
    from wasmlrun.support.records import replace

    folder = Path(model) if Path(model).is_dir() else bundled.model(model)
    if source.encoding is not Encoding.OPENVINO or folder is None or not folder.is_dir():
        return source
    for suffix in (".onnx", ".tflite"):
        beside = folder / f"{folder.absolute().name}{suffix}"
        if beside.is_file():
            return replace(read_model(beside), demand=source.demand)
    return source


def _tell(packed: Packed, messages: Messages) -> None:
    from wasmlrun.support.sizes import size_text

    messages.info(
        f"{packed.output}: {size_text(packed.size)}, {packed.operations} operations, "
        f"{packed.seconds:.1f} s"
    )
    messages.info(f"  takes {packed.takes}")
    messages.info(
        f"  weights {size_text(packed.constants)}, "
        f"the rest {size_text(packed.size - packed.constants)}"
    )
    messages.info(
        f"  arena {size_text(packed.arena)} (no plan needs less than "
        f"{size_text(packed.arena_least)}), scratch {size_text(packed.scratch)}"
    )
    messages.info(f"  memory {size_text(packed.memory)} at the start, and no more later")
