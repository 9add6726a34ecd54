"""What the tour shows: command lines, in a folder with some files of everyday use."""

from __future__ import annotations

import shutil
from pathlib import Path

import wasmtime
from PIL import Image

from kit import tflite_by_hand
from kit.models_by_hand import write_colours
from kit.signed import make_keys

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
    "pack": ("pack", "tiny.tflite", "--labels", "rgb.txt", "-o", "tiny.wasm"),
    "pack-missing": ("pack", "missing.tflite"),
    "build": ("build", "project"),
    "bundle": ("bundle", "--model", "colours.onnx", "-o", "app"),
    "bundle-folder": ("bundle", "--model", "colours.onnx", "-o", "a folder"),
    "serve-missing": ("serve", "missing"),
    "serve-no-model": ("serve", "--model", "mobilenet"),
    "batch": ("batch", "a folder", "-o", "new.jsonl"),
    "batch-there": ("batch", "a folder", "-o", "rows.jsonl"),
    "report": ("report", "rows.jsonl", "--truth", "truth.csv"),
    "compare-results": ("compare", "rows.jsonl", "rows.jsonl"),
    "sign": ("models", "sign", "seven.wasm", "--key", "key.pem"),
    "verify-unsigned": ("models", "verify", "seven.wasm", "--trusted-key", "key.pub"),
    "classify-unsigned": (
        "classify",
        "dog.jpg",
        "--model",
        "tiny.tflite",
        "--trusted-key",
        "key.pub",
    ),
    "models-add": ("models", "add", "mine", "--from", "tiny.tflite", "--labels", "rgb.txt"),
    "models-pull": ("models", "pull", "mobilenet-v1-0.25", "--mirror", "file:///nowhere"),
    "models-pull-unknown": ("models", "pull", "efficientnet"),
    "unknown": ("clasify", "dog.jpg"),
    "meant": ("pull", "efficientnet-lite0"),
}

OF_ITS_OWN = {"models-add": {"WASMLRUN_DATA_DIR": "data"}}
"""Variables of a scene alone: what it keeps is in no other."""
LOOSE = frozenset(
    {
        *("bench", "cache-info", "cache-ls", "compile", "config", "doctor", "engines"),
        *("batch", "build", "bundle", "models-add", "pack", "sign"),
        *("models-info-bundled", "models-list", "models-search"),
    }
)
"""Scenes that say something else on every machine, or with every new model: only how they look
is checked."""
WIDE = (
    *("classify-several", "classify-no-model", "inspect-module", "check-model", "runtimes"),
    *("build", "report"),
    *("models-info", "models-search", "models-list", "config", "engines", "doctor"),
)
"""Scenes that a wide terminal shows otherwise."""
VIEWS = [*((scene, 80) for scene in SCENES), *((scene, 120) for scene in WIDE)]
"""Each scene with the columns of a terminal."""


ROWS = """\
{"schema": 1, "image": "dog.jpg", "worker": "w", "model": "m", "predictions": [{"index": 5, "label": "dog", "score": 0.9}, {"index": 3, "label": "cat", "score": 0.1}], "timings_ms": {"total": 8.0}}
{"schema": 1, "image": "cat.jpg", "worker": "w", "model": "m", "predictions": [{"index": 5, "label": "dog", "score": 0.6}, {"index": 3, "label": "cat", "score": 0.4}], "timings_ms": {"total": 9.0}}
{"schema": 1, "image": "x.jpg", "error": {"code": "bad-image", "message": "image x.jpg does not exist", "hint": null}}
"""  # noqa: E501 - a row is a line


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
    (folder / "tiny.tflite").write_bytes(tflite_by_hand.colours())
    (folder / "rgb.txt").write_text("red\ngreen\nblue\n")
    (folder / "notes.txt").write_text("no picture\n")
    (folder / "rows.jsonl").write_text(ROWS)
    (folder / "truth.csv").write_text("image,label\ndog.jpg,dog\ncat.jpg,cat\n")
    make_keys(folder, "key")
    shutil.copytree(ROOT / "samples" / "workers" / "c", folder / "project", dirs_exist_ok=True)
    for name, text in (("seven", SEVEN), ("foreign", FOREIGN)):
        (folder / f"{name}.wasm").write_bytes(wasmtime.wat2wasm(text))
