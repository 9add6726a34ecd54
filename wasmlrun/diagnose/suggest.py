"""A manifest to paste, for a program or a model that has none.

What can be told from the file is written; what only its author knows is a comment beside it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmlrun.diagnose.inspection import ProgramFacts
    from wasmlrun.models.info import ModelInfo
    from wasmlrun.vision.preprocess import InputSpec

# the members of Wasm Workers Server's request and response, which its kits have as text
_WWS_WORDS = (b"kv", b"headers", b"method", b"status")
_OWN_WORD = b"WASMLRUN_INPUT"


def for_program(path: Path, code: bytes, facts: ProgramFacts) -> str:
    """A manifest to stand beside a module or component."""
    lines = [f"# {path.with_suffix('.toml').name}, beside {path.name}"]
    lines += [f"name = {_quoted(path.stem)}", 'version = "1"']
    imports = [name for group in facts.groups for name in group.imports]
    protocol = _protocol(code)
    if facts.wasi_nn is not None:
        lines += ["", "[features.wasi_nn]", 'allowed_backends = ["openvino"]']
        if not facts.kind.startswith("component"):
            lines += [
                "# for a program that was built for a host of before mid-2024 (wws, wasmtime 23):",
                '# input_layout = "nhwc"',
            ]
        if _imports(imports, r".*\.load_by_name.*|wasi:nn/graph@.*"):
            lines += [
                "# for load_by_name, the folder's name is the model's:",
                "# [[features.wasi_nn.preload_models]]",
                '# backend = "openvino"',
                '# provider = { type = "local", dir = "./models/NAME" }',
            ]
    if _imports(imports, r".*\.path_open|wasi:filesystem/preopens@.*"):
        lines += [
            "",
            "# for each folder that it reads; add writable = true where it writes:",
            "# [[folders]]",
            '# from = "./data"',
            '# to = "/data"',
        ]
    if facts.wasi_nn is not None:
        lines += [
            "",
            "[classify]",
            f'protocol = "{protocol}"  # a guess',
            '# labels = "labels.txt"',
        ]
    return "\n".join(lines) + "\n"


def for_model(path: Path, info: ModelInfo) -> str:
    """A manifest to stand beside a model, for --model."""
    from wasmlrun.manifest.manifest import Classify
    from wasmlrun.support.errors import BadModel
    from wasmlrun.vision.preprocess import resolve

    if path.is_dir():
        shown = f"# {path.name}.toml, in {path.name}/"
    else:
        shown = f"# {path.with_suffix('.toml').name}, beside {path.name}"
    lines = [shown, f"name = {_quoted(path.stem)}", 'version = "1"', "", "[classify]"]
    lines += ['# labels = "labels.txt"']
    try:
        spec = resolve(Classify(), info.inputs[0].port if len(info.inputs) == 1 else None)
    except BadModel:
        return "\n".join([*lines, "# the model takes no picture"]) + "\n"
    return "\n".join([*lines, *_settings(spec)]) + "\n"


def _settings(spec: InputSpec) -> list[str]:
    size = spec.height if spec.height == spec.width else [spec.height, spec.width]
    return [
        f"size = {size}",
        f'layout = "{spec.layout}"',
        f'dtype = "{spec.dtype.value}"',
        f'color = "{spec.color}"  # or "BGR"' if spec.color == "RGB" else f'color = "{spec.color}"',
        f"mean = {_numbers(spec.mean)}",
        f"scale = {_numbers(spec.scale)}",
        f'resize = "{spec.resize}"  # or "stretch", "pad"',
    ]


def _numbers(values: tuple[float, ...]) -> str:
    if len(set(values)) == 1:
        return f"{values[0]:g}"
    return "[" + ", ".join(f"{value:.10g}" for value in values) + "]"


def _protocol(code: bytes) -> str:
    """The protocol wws for a worker that speaks of requests and has never heard of wasmlrun."""
    if _OWN_WORD not in code and all(word in code for word in _WWS_WORDS):
        return "wws"
    return "tensor"


def _imports(names: list[str], pattern: str) -> bool:
    return any(re.fullmatch(pattern, name) for name in names)


def _quoted(text: str) -> str:
    """Text as a string of TOML."""
    return '"' + re.sub(r'[\x00-\x1f\x7f"\\]', lambda m: f"\\u{ord(m[0]):04x}", text) + '"'
