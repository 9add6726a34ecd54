"""What a warm run does without: what it does not import, read or compile."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.signed import make_keys

from wasmlrun.trust.keys import read_private
from wasmlrun.trust.signing import sign

# what costs more to import than it is worth, or is needed for something else
SAMPLES = Path(__file__).parents[1] / "samples"
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
def classify(colours: Path, own_home: dict[str, str]) -> Callable[..., set[str]]:
    words: list[str | Path] = ["classify", SAMPLES / "dog.jpg"]
    words += ["--model", colours, "--labels", colours.with_name("colours.txt")]

    def run(*more: str) -> set[str]:
        imported([*words, *more], own_home)  # makes it warm
        return imported([*words, *more], own_home)

    return run


def test_a_warm_run_imports_only_what_it_needs(classify: Callable[..., set[str]]) -> None:
    modules = classify()
    # the control: the child's imports are seen too
    assert {"PIL.JpegImagePlugin", "wasmlrun.sandbox.core", "wasmlrun.wasmtime_c.linker"} <= modules
    assert not modules & NEEDLESS
    others = "openvino.", "wasmtime.", "click.", "cryptography", "wasmlrun.trust"
    assert not {m for m in modules if m.startswith(others)}


def test_a_signature_that_was_right_before_costs_no_library(
    classify: Callable[..., set[str]], colours: Path, tmp_path: Path
) -> None:
    keys = make_keys(tmp_path, "key")
    signature = sign(colours, read_private(keys.private)).signature
    try:
        modules = classify("--trusted-key", str(keys.public))
    finally:
        signature.unlink()
    assert "wasmlrun.trust.gate" in modules
    assert not modules & NEEDLESS
    assert not {m for m in modules if m.startswith("cryptography")}


def test_json_costs_json_alone(classify: Callable[..., set[str]]) -> None:
    assert classify("--json") & NEEDLESS == {"json"}


def test_a_warm_run_reads_no_model_and_compiles_nothing(
    colours: Path, own_home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wasmlrun.engines.openvino import create
    from wasmlrun.engines.openvino.engine import OpenVINO
    from wasmlrun.engines.protocol import Settings
    from wasmlrun.sandbox.worker import Runtime, Worker
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.model_source import read_model
    from wasmlrun.support.userdata import cache_dir
    from wasmlrun.wasmtime_c import Module

    worker = SAMPLES / "mobilenet" / "mobilenet.wasm"
    model = read_model(colours)
    cache = Cache(cache_dir())

    def prepare() -> None:
        create(Settings(cache=cache)).load(model, "CPU")
        Worker(Runtime(Limits(), cache), worker)

    prepare()

    def never(*_: Any) -> None:
        raise AssertionError("the cache was not used")

    monkeypatch.setattr(OpenVINO, "_compile", never)
    monkeypatch.setattr(Module, "compiled", never)
    prepare()
    with pytest.raises(AssertionError, match="the cache was not used"):
        create(Settings()).load(model, "CPU")


ONE_HEAP = """
import ctypes, sys, threading
from wasmlrun.support import process
kept = ctypes.CDLL
{first}
process.keep_one_heap()
libc = kept(None)
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
found = []
thread = threading.Thread(target=lambda: found.append(libc.malloc(1 << 20)))
thread.start()
thread.join()
with open("/proc/self/maps") as maps:
    heap = next(line.split()[0] for line in maps if line.endswith("[heap]\\n"))
low, high = (int(end, 16) for end in heap.split("-"))
print(low <= found[0] < high)
"""


@pytest.mark.parametrize(
    ("first", "one"),
    [
        ("", True),
        # where there is nothing that could be done, nothing is
        ("sys.platform = 'darwin'", False),
        ("ctypes.CDLL = lambda name: object()", False),
    ],
)
def test_threads_share_one_heap(first: str, one: bool) -> None:
    """In processes of their own: a heap stays as it is."""
    if not Path("/proc/self/maps").exists() or not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("another C library than glibc, or another system than Linux")
    program = ONE_HEAP.format(first=first)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str(one)
