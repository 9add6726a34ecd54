"""The bundled workers are built from the sources beside them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest
from kit.needs import needs

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.mark.parametrize("name", ["mobilenet", "infer"])
def test_a_bundled_worker_is_what_its_source_compiles_to(
    name: str, tmp_path: Path, outside: dict[str, str]
) -> None:
    if importlib.util.find_spec("ziglang") is None:
        reason = "ziglang, the compiler, is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    source, out = SAMPLES / name / f"{name}.c", tmp_path / f"{name}.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi", "-Os", "-s"]
    command += ["-Wl,-z,stack-size=65536", f"-I{SAMPLES / 'mobilenet'}"]
    command += ["-o", str(out), str(source)]
    subprocess.run(command, check=True, env=outside)
    assert out.read_bytes() == (SAMPLES / name / f"{name}.wasm").read_bytes()


@pytest.mark.parametrize("name", ["mobilenet", "infer"])
def test_a_bundled_worker_is_small(name: str) -> None:
    assert (SAMPLES / name / f"{name}.wasm").stat().st_size < 40_000


@pytest.mark.parametrize("name", ["speak", "hear", "listen"])
def test_a_sample_of_speech_is_what_its_source_compiles_to(
    name: str, tmp_path: Path, outside: dict[str, str]
) -> None:
    needs("ziglang", "ziglang")
    folder, out = SAMPLES / "workers" / name, tmp_path / f"{name}.wasm"
    command = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi", "-O2", "-s"]
    command += ["-Wl,-z,stack-size=65536", f"-I{SAMPLES / 'workers' / 'c'}", "-o", str(out)]
    # as its README says
    sources = {"speak": ["speak.c", "phonemes.c", "sound.c"]}.get(name, [f"{name}.c"])
    subprocess.run([*command, *sources], check=True, env=outside, cwd=folder)
    assert out.read_bytes() == (folder / f"{name}.wasm").read_bytes()
