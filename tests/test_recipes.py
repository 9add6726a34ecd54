"""CONTRIBUTING.md: its recipes are followed in a copy of the package; what it names is there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"^(?:New file `(?P<new>[^`]+)`"
    r"|In `(?P<file>[^`]+)`, (?P<where>before|after) `(?P<line>[^`]+)`)"
    r":\n\n```python\n(?P<code>.*?)```",
    re.MULTILINE | re.DOTALL,
)


def section_of(recipe: str) -> str:
    return TEXT.split(f"### {recipe}\n")[1].split("\n### ")[0]


def follow(recipe: str, root: Path) -> None:
    """Do what the code blocks of a recipe say."""
    for step in STEP.finditer(section_of(recipe)):
        if step["new"]:
            (root / step["new"]).write_text(step["code"], encoding="utf-8")
            continue
        path, line = root / step["file"], step["line"]
        text = path.read_text(encoding="utf-8")
        assert text.count(line) == 1, f"{step['file']} has no line {line!r}"
        code = step["code"]
        path.write_text(
            text.replace(line, code + line if step["where"] == "before" else f"{line}\n{code}"),
            encoding="utf-8",
        )


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package, with every recipe followed that has code."""
    root = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "wasmlrun", root / "wasmlrun", ignore=ignored)
    for name in ("samples/mobilenet", "models/mobilenet-cifar10"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copy(ROOT / "samples" / "dog.jpg", root / "samples")
    for recipe in re.findall(r"^### (.+)$", TEXT, re.MULTILINE):
        if STEP.search(section_of(recipe)):
            follow(recipe, root)
    return root


def run(copy: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        timeout=120,
    )


def test_a_form_of_answer(copy: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    done = run(copy, "classify", "samples/dog.jpg", "samples/dog.jpg", "--count", out)
    assert done.returncode == 0, done.stderr
    assert out.read_text() == "2\n"
    assert len(done.stdout.splitlines()) == 10


def test_a_limit(copy: Path, tmp_path: Path) -> None:
    done = run(copy, "run", "--help")
    assert "--max-sockets N" in done.stdout
    assert "Sockets open at once." in done.stdout
    manifest = tmp_path / "x.toml"
    manifest.write_text('version = "1"\n[limits]\nsockets = 2\n')
    program = (
        "from pathlib import Path\n"
        "from wasmlrun.manifest.reader import read_manifest\n"
        "from wasmlrun.support.limits import Limits, exceeded\n"
        f"print(dict(read_manifest(Path({str(manifest)!r})).limits), Limits().sockets)\n"
        "print(exceeded('sockets', 2, 'another').message)\n"
    )
    assert python(copy, program).splitlines() == [
        "{'sockets': 2} 4",
        "the sockets limit of 2 sockets was reached: another",
    ]


def python(copy: Path, program: str) -> str:
    """What a program prints that imports the copy."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_model_format(copy: Path) -> None:
    program = """
from pathlib import Path
from wasmlrun.commands.serve import _inside
from wasmlrun.pipeline.foreign import from_wasmedge
from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding, read_model, recognise
from wasmlrun.wasi_nn import component, core
from wasmlrun.wasi_nn.errors import NnError
print(recognise(b"CAFFE").name, from_wasmedge("n:Caffe:CPU:m").encoding.name)
print(core._encoding(8).name, component._ENCODINGS[8].name)
try:
    core._encoding(99)
except NnError as e:
    print(e)
folder = Path("formats")
folder.mkdir()
(folder / "m.caffemodel").write_bytes(b"other")
print(read_model(folder / "m.caffemodel").encoding.name, read_model(folder).encoding.name)
print([path.name for path in _inside(folder)])
(folder / "m.txt").write_bytes(b"other")
try:
    read_model(folder / "m.txt")
except BadModel as e:
    print(e.hint)
"""
    assert python(copy, program).splitlines() == [
        "CAFFE CAFFE",
        "CAFFE CAFFE",
        "load: encoding 99 is not supported (0 openvino, 1 onnx, 2 tensorflow, 3 pytorch, "
        "4 tensorflowlite, 8 caffe, 9 whisper, 5 or 6 auto-detect)",
        "CAFFE CAFFE",
        "['m.caffemodel']",
        "known: OpenVINO IR (.xml with .bin), ONNX (.onnx), frozen TensorFlow (.pb), "
        "TensorFlow Lite (.tflite), PyTorch (.pt, .pt2), GGUF (.gguf), Whisper (.ggml), "
        "Caffe (.caffemodel)",
    ]


def test_a_picture_format(copy: Path) -> None:
    program = """
import io
from PIL import Image
from wasmlrun.vision.decode import decode
from wasmlrun.vision.formats import SUFFIXES, known
file = io.BytesIO()
Image.new("RGB", (8, 8), "red").save(file, "DDS")
print(decode(file.getvalue(), "x").getpixel((1, 1)))
print(known())
print('.dds' in SUFFIXES)
"""
    pixel, known, in_folders = python(copy, program).splitlines()
    assert (pixel, in_folders) == ("(255, 0, 0)", "True")
    assert known.endswith("SGI, DDS and XBM are")


def test_a_command(copy: Path) -> None:
    assert "  greet" in run(copy, "--help").stdout
    done = run(copy, "greet", "you")
    assert (done.returncode, done.stdout) == (0, "hello\tyou\n")
    done = run(copy, "greet", "", "--json")
    assert done.returncode == 2
    assert '"code": "usage"' in done.stdout
    assert done.stderr == "error: a name is empty\nhint: give one\n"


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "ARCHITECTURE.md"])
def test_every_file_that_is_named_is_there(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    made = {step["new"] for step in STEP.finditer(text)}
    named = set(re.findall(r"`((?:wasmlrun|tests|docs|samples)/[\w./]*)`", text)) - made
    assert len(named) > 10
    assert not [path for path in named if not (ROOT / path).exists()]
