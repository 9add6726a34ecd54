"""Guests in C, as people build them for other hosts; compiled once a session."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCES = Path(__file__).parent / "guests"


def compiled(name: str, folder: Path) -> Path:
    """`guests/NAME.c` as a WASI program; without the compiler the test is skipped, not in CI."""
    if find_spec("ziglang") is None:
        reason = "the compiler is missing: pip install ziglang"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    path = folder / f"{name}.wasm"
    # the compiler's own cache must outlive the tests' home: the first build makes a libc
    zig = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi", "-Os", "-Wall", "-Werror"]
    zig += ["-Wl,-z,stack-size=65536", "-o", str(path), str(SOURCES / f"{name}.c")]
    done = subprocess.run(zig, capture_output=True, text=True, check=False, env=_outside)
    assert done.returncode == 0, done.stderr
    return path


_outside = dict(os.environ)
