"""What a warm run does without: what it does not import, read or compile."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# what costs more to import than it is worth, or is needed for something else
NEEDLESS = {
    *("click", "dataclasses", "inspect", "json", "tomllib", "platform", "concurrent", "tempfile"),
    *("numpy", "openvino", "wasmtime", "rich", "platformdirs", "urllib3", "truststore"),
    *("PIL.BmpImagePlugin", "PIL.GifImagePlugin", "PIL.ImageOps", "PIL.TiffImagePlugin"),
}


def imported(words: list[str | Path], env: dict[str, str]) -> set[str]:
    """Every module that a command's processes import."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "wasmlrun", *map(str, words)],
        capture_output=True,
        text=True,
        env={**os.environ, **env, "PYTHONNOUSERSITE": "1"},
        check=True,
    )
    lines = (line for line in done.stderr.splitlines() if line.startswith("import time:"))
    return {line.split("|")[-1].strip() for line in lines}


@pytest.fixture(scope="module")
def classify(shared_data: Path, own_home: dict[str, str]) -> Callable[..., set[str]]:
    models = shared_data / "models"
    words: list[str | Path] = ["classify", shared_data / "images" / "cat_720p.jpg"]
    words += ["--model", models / "mobilenet_v1_0.25_128_quant.tflite"]
    words += ["--labels", models / "imagenet_labels.txt"]

    def run(*more: str) -> set[str]:
        imported([*words, *more], own_home)  # makes it warm
        return imported([*words, *more], own_home)

    return run


def test_a_warm_run_imports_only_what_it_needs(classify: Callable[..., set[str]]) -> None:
    modules = classify()
    # the control: the child's imports are seen too
    assert {"PIL.JpegImagePlugin", "wasmlrun.worker_core", "wasmlrun.wasm.linker"} <= modules
    assert not modules & NEEDLESS
    assert not {m for m in modules if m.startswith(("openvino.", "wasmtime.", "click."))}


def test_json_costs_json_alone(classify: Callable[..., set[str]]) -> None:
    assert classify("--json") & NEEDLESS == {"json"}


def test_a_warm_run_reads_no_model_and_compiles_nothing(
    shared_data: Path, own_home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wasmlrun.backends.openvino import OpenVINO
    from wasmlrun.cache import Cache, default_root
    from wasmlrun.limits import Limits
    from wasmlrun.modelfile import read_model
    from wasmlrun.wasm import Module
    from wasmlrun.worker import Runtime, Worker

    worker = Path(__file__).parents[1] / "samples" / "mobilenet" / "mobilenet.wasm"
    model = read_model(shared_data / "models" / "mobilenet_v1_0.25_128_quant.tflite")
    cache = Cache(default_root())

    def prepare() -> None:
        OpenVINO(cache=cache).load(model, "CPU")
        Worker(Runtime(Limits(), cache), worker)

    prepare()

    def never(*_: Any) -> None:
        raise AssertionError("the cache was not used")

    monkeypatch.setattr(OpenVINO, "_compile", never)
    monkeypatch.setattr(Module, "compiled", never)
    prepare()
    with pytest.raises(AssertionError, match="the cache was not used"):
        OpenVINO().load(model, "CPU")


def test_the_heap_of_a_one_shot_is_in_large_pages() -> None:
    """In a process of its own: its heap stays so."""

    if sys.platform != "linux" or not Path("/proc/self/smaps").exists():
        pytest.skip("only Linux says how memory is mapped")
    setting = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not setting.exists() or "[never]" in setting.read_text():
        pytest.skip("this system has no large pages")
    program = (
        "import ctypes\n"
        "from wasmlrun.process import use_large_pages\n"
        "use_large_pages(32 << 20)\n"
        "kept = ctypes.create_string_buffer(b'x' * (16 << 20))\n"
        "flags = [l for l in open('/proc/self/smaps') if l.startswith('VmFlags')]\n"
        "print(sum(' hg ' in l for l in flags))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) >= 1
