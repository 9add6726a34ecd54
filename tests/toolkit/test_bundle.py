"""One file with worker, model and wasmlrun: run where wasmlrun is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def bare(folder: Path, *, packages: bool = True) -> dict[str, str]:
    """An environment in which Python finds the installed wheels, or none; and not wasmlrun."""
    import PIL

    # with -S no .pth file is read, and by one of these this checkout is installed
    found = Path(PIL.__file__).parents[1] if packages else folder
    assert not (found / "wasmlrun" / "__init__.py").exists()
    return {
        "PYTHONPATH": str(found),
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "XDG_CACHE_HOME": str(folder / "cache"),
    }


def run(app: Path, *words: str | Path, env: dict[str, str]) -> Any:
    return subprocess.run(
        [sys.executable, "-S", str(app), *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        env=env,
        timeout=100,
    )


def test_it_runs_where_wasmlrun_is_not_installed(
    run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    app = tmp_path / "app"
    done = run_cli(["bundle", "--model", "mobilenet-cifar10", "-o", app])
    assert done.code == 0, done.stderr
    needs = [line.strip() for line in done.stderr.splitlines()[1:]]
    assert [line.partition(">")[0].partition("<")[0] for line in needs][:2] == [
        "wasmtime",
        "pillow",
    ]
    env = bare(tmp_path)
    assert run(app, "--needs", env=env).stdout.splitlines() == needs
    for _ in range(2):  # unpacked, and found again
        done = run(app, ROOT / "samples" / "dog.jpg", "--expect", "dog", env=env)
        assert done.returncode == 0, done.stderr
        assert done.stdout.split("\t")[1] == "dog"
    unpacked = list((tmp_path / "cache" / "wasmlrun" / "bundles").iterdir())
    assert len(unpacked) == 1
    # what somebody else could have changed is not run
    unpacked[0].chmod(0o777)
    done = run(app, ROOT / "samples" / "dog.jpg", env=env)
    assert done.returncode == 1
    assert "is not yours alone" in done.stderr


def test_what_is_missing_is_told(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    app = tmp_path / "app"
    assert run_cli(["bundle", "-o", app]).code == 0
    done = run(app, "x.jpg", env=bare(tmp_path, packages=False))
    assert done.returncode == 3
    first, second = done.stderr.splitlines()
    assert first.startswith("error: this program needs wasmtime")
    assert second.startswith("hint: pip install 'wasmtime")


def test_the_same_bytes_again(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run_cli(["bundle", "-o", tmp_path / name]).code == 0
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["none.wasm", "--model", "mobilenet-cifar10"], "worker none.wasm does not exist"),
        (["--model", "nothing.onnx"], "nothing.onnx"),
        (["m.cwasm", "--model", "mobilenet-cifar10"], "is no .wasm file"),
        (["mounts.wasm"], "wants folders, variables or requests"),
    ],
)
def test_what_cannot_be_bundled_is_told(
    words: list[str], why: str, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "m.cwasm").write_bytes(b"x")
    (tmp_path / "mounts.wasm").write_bytes(b"\0asm\x01\0\0\0")
    (tmp_path / "mounts.toml").write_text(
        'name = "m"\nversion = "1"\n[vars]\nA = "1"\n[classify]\n'
    )
    done = run_cli(["bundle", *words, "-o", "app"], cwd=tmp_path)
    assert done.code == 3
    assert why in done.stderr
    assert not (tmp_path / "app").exists()
