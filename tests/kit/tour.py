"""What the tour shows: command lines, in a folder with some files of everyday use."""

from __future__ import annotations

import shutil
from pathlib import Path

import wasmtime
from PIL import Image

from kit.models_by_hand import write_colours

ROOT = Path(__file__).parents[2]
SEVEN = """(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7))))"""
FOREIGN = """(module
  (import "env" "do_things" (func))
  (memory (export "memory") 1)
  (func (export "_start")))"""

SCENES: dict[str, tuple[str, ...]] = {
    "first-run": (),
    "version": ("--version",),
    "classify": ("classify", "dog.jpg"),
    "classify-several": ("classify", "dog.jpg", "missing.jpg", "a folder/ship.jpg", "-k", "2"),
    "classify-quiet": ("classify", "dog.jpg", "-q"),
    "classify-unsure": ("classify", "board.png", "-k", "3"),
    "classify-show": ("classify", "red.png", "--show", "-q", "-k", "1"),
    "classify-model": ("classify", "red.png", "--model", "colours.onnx"),
    "classify-expect": ("classify", "dog.jpg", "--expect", "cat", "-k", "1"),
    "classify-json": ("classify", "missing.jpg", "--json"),
    "classify-text": ("classify", "notes.txt"),
    "classify-no-model": ("classify", "dog.jpg", "--model", "mobilenet"),
    "classify-no-worker": ("classify", "dog.jpg", "--worker", "dog.jpg"),
    "classify-foreign": ("classify", "dog.jpg", "--worker", "foreign.wasm"),
    "classify-nothing": ("classify",),
    "classify-option": ("classify", "dog.jpg", "--lables", "x.txt"),
    "run-exit-code": ("run", "seven.wasm"),
    "run-missing": ("run", "missing.wasm"),
    "inspect-module": ("inspect", "foreign.wasm"),
    "inspect-model": ("inspect", "colours.onnx"),
    "compare": ("compare", "red.png", "--model", "colours.onnx", "--backend", "openvino"),
    "check": ("check", "seven.wasm"),
    "cache-info": ("cache", "info"),
    "cache-ls": ("cache", "ls"),
    "runtimes": ("runtimes", "list"),
    "models-list": ("models", "list"),
    "models-search": ("models", "search", "face"),
    "models-search-nothing": ("models", "search", "zzz"),
    "models-info": ("models", "info", "efficientnet-lite0"),
    "models-info-bundled": ("models", "info", "mobilenet-cifar10"),
    "models-path-missing": ("models", "path", "efficientnet-lite0"),
    "models-verify": ("models", "verify"),
    "new": ("new", "mine", "--lang", "c"),
    "new-unknown": ("new", "mine", "--lang", "cobol"),
    "config": ("config",),
    "help": ("help",),
    "help-settings": ("help", "settings"),
    "help-exit-codes": ("help", "exit-codes"),
    "help-nothing": ("help", "zzz"),
    "engines": ("engines",),
    "doctor": ("doctor",),
    "check-model": ("check", "seven.wasm", "--model", "colours.onnx"),
    "infer": ("infer", "red.png", "--model", "colours.onnx"),
    "compile": ("compile", "seven.wasm"),
    "bench": ("bench", "red.png", "--model", "colours.onnx", "-n", "1"),
    "unknown": ("clasify", "dog.jpg"),
    "meant": ("pull", "efficientnet-lite0"),
}

LOOSE = frozenset(
    {
        *("bench", "cache-info", "cache-ls", "compile", "config", "doctor", "engines"),
        *("models-info-bundled", "models-list", "models-search"),
    }
)
"""Scenes that say something else on every machine, or with every new model: only how they look
is checked."""
WIDE = (
    *("classify-several", "classify-no-model", "inspect-module", "check-model", "runtimes"),
    *("models-info", "models-search", "models-list", "config", "engines", "doctor"),
)
"""Scenes that a wide terminal shows otherwise."""
VIEWS = [*((scene, 80) for scene in SCENES), *((scene, 120) for scene in WIDE)]
"""Each scene with the columns of a terminal."""


def prepare(folder: Path) -> None:
    """Put the files there."""
    for name, place in (("dog", "."), ("ship", "a folder")):
        (folder / place).mkdir(exist_ok=True)
        shutil.copy(ROOT / "samples" / f"{name}.jpg", folder / place)
    Image.new("RGB", (40, 20), (230, 20, 30)).save(folder / "red.png")
    tiles = Image.new("L", (2, 2))
    tiles.putdata([40, 220, 220, 40])
    tiles.resize((64, 64), Image.Resampling.NEAREST).convert("RGB").save(folder / "board.png")
    write_colours(folder / "colours.onnx")
    (folder / "notes.txt").write_text("no picture\n")
    for name, text in (("seven", SEVEN), ("foreign", FOREIGN)):
        (folder / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
