"""Work in a folder of a stranger's: Python's modules that lie there are not Python's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import wasmtime
from kit.core_guests import printing
from kit.needs import needs
from kit.tflite_by_hand import colours as colours_tflite

NAMES = ("platform", "wasmtime", "numpy", "PIL", "ziglang", "pip", "wasmlrun", "json", "subprocess")


@pytest.fixture
def folder(tmp_path: Path, red_image: Path, colours: Path) -> Path:
    """A folder whose modules leave a mark when they are imported."""
    for name in NAMES:
        text = f"open({str(tmp_path / 'taken')!r}, 'a').write({name!r}); raise SystemExit(9)"
        (tmp_path / f"{name}.py").write_text(text)
    for path in (red_image, colours, colours.with_suffix(".bin")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "w.wasm").write_bytes(wasmtime.wat2wasm(printing("0\t1.0\n")))
    (tmp_path / "w.toml").write_text('name = "w"\nversion = "1"\n')
    (tmp_path / "m.tflite").write_bytes(colours_tflite())
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("compile", "w.wasm"),
        ("bench", "red.png", "--model", "colours.xml", "-n", "1"),
        ("check", "w.wasm"),
        ("pack", "m.tflite"),
        ("classify", "red.png", "--model", "colours.xml"),
    ],
    ids=lambda words: words[0],
)
def test_no_module_of_the_folder_is_run(
    folder: Path, words: tuple[str, ...], outside: dict[str, str]
) -> None:
    if words[0] == "pack":
        needs("ziglang", "ziglang")
    # the compiler's own cache, which takes long to fill
    cache = outside.get("ZIG_GLOBAL_CACHE_DIR", str(Path(outside["HOME"], ".cache", "zig")))
    done = subprocess.run(
        # as the installed command does, the current folder is no place for modules
        [sys.executable, "-P", "-m", "wasmlrun", *words],
        cwd=folder,
        env={**os.environ, "ZIG_GLOBAL_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert not (folder / "taken").exists(), (folder / "taken").read_text()
    # what `check` finds out about such a worker is another matter
    assert done.returncode in ((0, 1) if words[0] == "check" else (0,)), done.stderr
