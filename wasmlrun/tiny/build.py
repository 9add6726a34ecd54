"""A graph's C, compiled: the module's bytes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wasmlrun.tiny.graph import Value
from wasmlrun.tiny.source import Source
from wasmlrun.vision.preprocess import CROP_FRACTION, InputSpec

KERNELS = Path(__file__).parent / "kernels"
STACK = 32768
STACK_WITH_DECODER = 65536
_FEATURES = {
    "none": ["-mno-simd128"],
    "simd": ["-msimd128"],
    "relaxed": ["-msimd128", "-mrelaxed-simd"],
}
SIMD = tuple(_FEATURES)


@dataclass(frozen=True, slots=True)
class Ends:
    """The model's input and output as the program sees them."""

    input: Value
    output: Value
    input_at: int
    output_at: int
    classes: int
    """Scores that the output is; 0 where it is none."""
    logits: bool
    """Whether the scores are to be made probabilities."""
    label_offset: int = 0
    picture: InputSpec | None = None
    """How a picture becomes the input; None where it is no picture."""


def write_folder(
    folder: Path, source: Source, ends: Ends, arena: int, labels: Sequence[str] | None
) -> None:
    """Put everything that the compiler needs into a folder."""
    for kernel in sorted(KERNELS.iterdir()):
        if kernel.suffix in (".h", ".c"):
            shutil.copyfile(kernel, folder / kernel.name)
    (folder / "layers.h").write_text(source.layers, encoding="utf-8")
    (folder / "settings.h").write_text(_settings(source, ends, arena), encoding="utf-8")
    (folder / "constants.bin").write_bytes(source.constants)
    text = "".join(f"{label}\n" for label in labels or ())
    (folder / "labels.txt").write_text(text, encoding="utf-8")


def flags(simd: str, *, decode: bool) -> list[str]:
    """What the compiler is told."""
    stack = STACK_WITH_DECODER if decode else STACK
    return [
        *("-std=c23", "-O3", "-s", *_FEATURES[simd]),
        *("-Wall", "-Wno-unused", "-fno-exceptions", "-ffp-contract=off"),
        f"-Wl,-z,stack-size={stack}",
        *(["-DDECODER"] if decode else []),
    ]


def _settings(source: Source, ends: Ends, arena: int) -> str:
    kinds = {"u8": "uint8_t", "i8": "int8_t", "f32": "float"}
    quant = ends.output.quant
    scale, zero = (quant.scale[0], quant.zero[0]) if quant is not None else (1.0, 0)
    shape = "×".join(map(str, ends.input.shape))
    values: dict[str, object] = {
        "ARENA_SIZE": max(arena, 16),
        "SCRATCH_SIZE": max(source.scratch, 16),
        "EXPANDED_SIZE": max(source.expanded, 16),
        "STATE_SIZE": max(source.state, 16),
        "INPUT_AT": ends.input_at,
        "INPUT_SIZE": ends.input.size,
        "INPUT_TEXT": f'"{shape} {ends.input.dtype}, {ends.input.size} bytes"',
        "OUTPUT_AT": ends.output_at,
        "OUTPUT_SIZE": ends.output.size,
        "OUTPUT_SCALE": f"{scale!r}f",
        "OUTPUT_ZERO": zero,
        "RANKS": int(ends.classes > 0),
        "CLASSES": max(ends.classes, 1),
        "LOGITS": int(ends.logits),
        "LABEL_OFFSET": ends.label_offset,
    }
    if ends.picture is not None:
        values |= _picture(ends.picture)
    lines = [f"#define {name} {value}" for name, value in values.items()]
    return "\n".join([*lines, f"typedef {kinds[ends.output.dtype]} output_type;", ""])


def _picture(spec: InputSpec) -> dict[str, object]:
    """How the decoder brings a picture to the input."""
    return {
        "PICTURE_WIDTH": spec.width,
        "PICTURE_HEIGHT": spec.height,
        "PICTURE_RESIZE": f"'{spec.resize[0]}'",
        "PICTURE_CROP": CROP_FRACTION,
        "PICTURE_CHANNELS": spec.channels,
        "PICTURE_BGR": int(spec.color == "BGR"),
        "PICTURE_PLANES": int(spec.layout == "NCHW"),
        "PICTURE_TYPE": f"'{spec.dtype.value[0]}'",
        "PICTURE_MEAN": "{" + ", ".join(map(repr, spec.mean)) + "}",
        "PICTURE_SCALE": "{" + ", ".join(map(repr, spec.scale)) + "}",
    }


def compile_folder(folder: Path, output: Path, zig: Sequence[str], options: Sequence[str]) -> None:
    """Compile what `write_folder` wrote. Raises BuildFailed."""
    from wasmlrun.toolkit.toolchains.installer import compile_with

    command = [*zig, "cc", "--target=wasm32-wasi", *options, "-o", str(output), "worker.c"]
    compile_with(command, folder)
    if os.name != "nt":
        output.chmod(0o644)
