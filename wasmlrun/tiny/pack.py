"""From a model to a module that holds it: read, check, simplify, plan, write; then compile.

What reads the model and what starts the compiler are two steps, which `ready` joins: the first one
has no need of programs, nor the second one of the model.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmlrun import __version__
from wasmlrun.engines.protocol import Port
from wasmlrun.manifest.manifest import Classify
from wasmlrun.support import tempfiles
from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType
from wasmlrun.tiny import arena, build, consistent, description, packable, source
from wasmlrun.tiny.graph import Graph, Value
from wasmlrun.tiny.page import page
from wasmlrun.tiny.ready import Ready, plain_picture
from wasmlrun.tiny.simplify import simplify
from wasmlrun.toolkit.toolchains.installer import BuildFailed, Installer
from wasmlrun.toolkit.toolchains.zig import zig_command
from wasmlrun.vision.labels import label_offset
from wasmlrun.vision.preprocess import InputSpec, resolve


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be packed."""

    shown: str
    """The model as the user gave it."""
    model: ModelSource
    settings: Classify
    labels: Sequence[str] | None


@dataclass(frozen=True, slots=True)
class Order:
    """What it is to become."""

    name: str
    """The model's name: what a worker's answer is shown with."""
    output: Path
    simd: str = "simd"
    decode: bool = False
    keep: Path | None = None
    """A folder for the C, if it is to be kept."""
    page: Path | None = None
    """A page to be written too; the module then decodes."""


@dataclass(frozen=True, slots=True)
class Packed:
    """What came of it."""

    output: Path
    size: int
    constants: int
    """Bytes of weights and tables in it."""
    memory: int
    """Bytes of linear memory that it starts with: constants, arena, scratch, stack."""
    arena: int
    arena_least: int
    """Bytes in use at the busiest step: what no plan could go below."""
    scratch: int
    operations: int
    takes: str
    """The input in words."""
    seconds: float


def make_ready(subject: Subject, *, decode: bool) -> Ready:
    """Read a model and write its C, without a compiler; `decode` is whether it has to take
    pictures as files.

    Raises:
        BadModel: the file is damaged, or has operations that cannot be packed: all are named.
        BadLabels: the labels do not fit.
    """
    graph, plan, written = prepare(subject.model, subject.shown)
    given, answer = graph.value(graph.inputs[0]), graph.value(graph.outputs[0])
    spec = _picture(subject.settings, given)
    if decode and spec is None:
        raise BadModel(
            f"model {subject.shown} takes no picture, so that nothing can be decoded for it",
            "pack it without --decode and --html",
        )
    classes = max(answer.shape, default=1) if answer.count == max(answer.shape, default=1) else 0
    offset = label_offset(classes, subject.labels, subject.settings.label_offset)
    ends = build.Ends(
        given,
        answer,
        plan.offsets[given.name],
        plan.offsets[answer.name],
        classes,
        _are_logits(graph, subject.settings.scores, classes),
        offset,
        spec,
    )
    return Ready(
        subject.model.sha256,
        subject.labels,
        written,
        ends,
        plan.size,
        plan.least,
        len(graph.nodes),
        subject.settings.unsure_below,
    )


def compile_ready(ready: Ready, order: Order, installer: Installer) -> Packed:
    """Build the module; it gets its name only when it is complete.

    Raises:
        ToolMissing: there is no zig, and none may be installed.
        BuildFailed: the compiler found errors, or the result cannot be written.
    """
    started = time.monotonic()
    ends, written = ready.ends, ready.source
    module = _compiled(order, ready, installer)
    module = description.with_description(module, _about(order, ready), ready.labels)
    _write(order.output, module)
    if order.page is not None:
        html = page(module, order.name, ends, ready.unsure_below)
        _write(order.page, html.encode())
    return Packed(
        order.output,
        len(module),
        len(written.constants),
        _first_memory(module),
        ready.arena,
        ready.arena_least,
        written.scratch,
        ready.operations,
        f"{'×'.join(map(str, ends.input.shape))} {ends.input.dtype}",
        time.monotonic() - started,
    )


def prepare(model: ModelSource, shown: str) -> tuple[Graph, arena.Arena, source.Source]:
    """Everything up to the compiler. Raises BadModel."""
    with _contradictions(shown):
        graph = _read(model, shown)
        consistent.check(graph)
        simplify(graph)
        packable.require(graph, shown)
        plan = arena.plan(graph)
        return graph, plan, source.write(graph, plan)


@contextmanager
def _contradictions(shown: str) -> Iterator[None]:
    """What a file that contradicts itself raises somewhere in the block, as BadModel."""
    try:
        yield
    except (
        ValueError,
        IndexError,
        KeyError,
        TypeError,
        AssertionError,
        OverflowError,
        ZeroDivisionError,
    ) as e:
        first = (str(e).strip().splitlines() or [type(e).__name__])[0][:200]
        raise BadModel(
            f"model {shown} contradicts itself: {first}", "check the file: is it complete?"
        ) from e


def _read(model: ModelSource, shown: str) -> Graph:
    if model.encoding is Encoding.TENSORFLOW_LITE:
        from wasmlrun.tiny import tflite

        return tflite.read(model.parts[0], shown)
    if model.encoding is Encoding.ONNX:
        from wasmlrun.tiny import onnxfile

        return onnxfile.read(model.parts[0], shown)
    raise BadModel(
        f"model {shown} is {model.encoding.value}; TensorFlow Lite and ONNX models can be packed",
        "run it with WASI-NN: wasmlrun classify IMAGE --model " + shown,
    )


def _picture(settings: Classify, given: Value) -> InputSpec | None:
    """How a picture becomes the input; None for an input that is none."""
    if len(given.shape) != 4:
        return None
    try:
        return resolve(settings, Port(given.name, given.shape, DType(given.dtype)))
    except BadModel:
        return None


_PASSING = ("reshape", "identity", "quantize", "dequantize", "flip_sign")


def _are_logits(graph: Graph, scores: str, classes: int) -> bool:
    """Whether the output has yet to be made probabilities."""
    if scores != "auto" or classes < 2:
        return scores == "logits"
    makers = {name: node for node in graph.nodes for name in node.outputs}
    node = makers.get(graph.outputs[0])
    while node is not None and node.op in _PASSING:
        node = makers.get(node.inputs[0])
    if node is None:
        return True
    return not (node.op == "softmax" or (node.op == "unary" and node["kind"] == "sigmoid"))


def _about(order: Order, ready: Ready) -> dict[str, Any]:
    ends, spec = ready.ends, ready.ends.picture
    return {
        "packer": __version__,
        "model": {"name": order.name, "sha256": ready.sha256},
        "input": {"shape": list(ends.input.shape), "dtype": ends.input.dtype},
        "output": {"shape": list(ends.output.shape), "dtype": ends.output.dtype},
        "picture": None if spec is None else plain_picture(spec),
        "decodes": order.decode,
        "simd": order.simd,
        "arena": ready.arena,
        "label_offset": ends.label_offset,
        "unsure_below": ready.unsure_below,
    }


def _compiled(order: Order, ready: Ready, installer: Installer) -> bytes:
    zig = zig_command(installer)
    with tempfiles.handed_down(), tempfiles.private_folder() as made:
        folder = made / "c"
        folder.mkdir()
        build.write_folder(folder, ready.source, ready.ends, ready.arena, ready.labels)
        module = made / "module.wasm"
        build.compile_folder(folder, module, zig, build.flags(order.simd, decode=order.decode))
        if order.keep is not None:
            try:
                shutil.copytree(folder, order.keep, dirs_exist_ok=True)
            except OSError as e:
                raise BuildFailed(f"{order.keep} cannot be written: {e.strerror or e}") from e
        return module.read_bytes()


def _write(path: Path, module: bytes) -> None:
    made = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        made.write_bytes(module)
        made.replace(path)
    except OSError as e:
        raise BuildFailed(f"{path} cannot be written: {e.strerror or e}") from e
    finally:
        made.unlink(missing_ok=True)


def _first_memory(module: bytes) -> int:
    from wasmlrun.binary import module as binary

    found = binary.read(module)
    assert isinstance(found, binary.CoreModule)
    return sum(memory.minimum for memory in found.memories)
