"""The bundled worker is built from the source beside it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLES = Path(__file__).parents[2] / "samples"


def test_the_bundled_worker_is_what_its_source_compiles_to(
    tmp_path: Path, outside: dict[str, str]
) -> None:
    if importlib.util.find_spec("ziglang") is None:
        reason = "ziglang, the compiler, is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    source, out = SAMPLES / "mobilenet" / "mobilenet.c", tmp_path / "mobilenet.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi", "-Os", "-s"]
    command += ["-Wl,-z,stack-size=65536", "-o", str(out), str(source)]
    subprocess.run(command, check=True, env=outside)
    assert out.read_bytes() == (SAMPLES / "mobilenet" / "mobilenet.wasm").read_bytes()


def test_the_bundled_worker_is_small() -> None:
    assert (SAMPLES / "mobilenet" / "mobilenet.wasm").stat().st_size < 40_000
