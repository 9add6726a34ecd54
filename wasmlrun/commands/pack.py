"""`wasmlrun pack`: a small model as one module that needs no engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.clickform import verbosity_options

if TYPE_CHECKING:
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.model_source import ModelSource
    from wasmlrun.tiny.pack import Packed


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
    verbosity: int,
) -> int:
    """Pack MODEL into one WebAssembly module that needs no engine.

    MODEL is a TensorFlow Lite or ONNX file, or the name of a model. The module is a WASI
    program, a worker for classify, and a library: input, infer, output.
    """
    from wasmlrun.commands.watched import Unwalled, in_child
    from wasmlrun.report.reporter import silent
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = silent(messages)

    def work(board: Board) -> None:
        from wasmlrun.manifest.grant import Grant
        from wasmlrun.manifest.manifest import Classify
        from wasmlrun.manifest.reader import read_manifest
        from wasmlrun.pipeline.plan import find_model
        from wasmlrun.pipeline.trusted import with_gate
        from wasmlrun.tiny.pack import Order, pack
        from wasmlrun.toolkit.toolchains.installer import Installer
        from wasmlrun.vision.labels import read_labels

        # a compiler takes as long as it takes
        board.deadline = 0.0
        name, source, settings = find_model(model)
        source = _packable(model, source)
        grant = Grant()
        if manifest is not None:
            named = read_manifest(manifest)
            settings, grant = named.classify or Classify(), Grant(demand=named.trust)
        with_gate(grant, [source])
        label_file = labels or settings.labels
        target = output or Path(f"{name}.wasm")
        order = Order(
            name,
            model,
            source,
            settings,
            read_labels(label_file) if label_file else None,
            target,
            "relaxed" if relaxed else simd,
            decode or html,
            keep=target.with_name(f"{target.stem}-c") if emit else None,
            page=target.with_suffix(".html") if html else None,
        )
        _tell(pack(order, Installer(messages, allowed=True if install else None)), messages)

    unwalled = Unwalled("it starts the compiler")
    return report.run(lambda: in_child(work, report, messages, fence=unwalled))


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
