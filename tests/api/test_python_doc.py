"""docs/python.md: its blocks run, one after the other, in a folder with what they name."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import program

import wasmlrun

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"
CAT = program(
    """(i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 4096))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (i32.store (i32.const 4) (i32.load (i32.const 8)))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))"""
)


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_blocks_run(
    tmp_path: Path,
    make_worker: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "samples" / "dog.jpg", "photo.jpg")
    make_worker(tmp_path, CAT, name="cat")
    names: dict[str, object] = {}
    try:
        for block in blocks():
            exec(compile(block, str(PAGE), "exec"), names)
    finally:
        worker = names["worker"]
        assert isinstance(worker, wasmlrun.Worker)
        worker.close()
    said = capsys.readouterr().out
    assert said.startswith("dog 0.9")
    assert "failed: image nowhere.jpg does not exist" in said
    assert "0 b'some text' b''" in said


def test_every_argument_and_name_is_on_the_page() -> None:
    import inspect

    page = PAGE.read_text()
    for kind in (wasmlrun.Worker, wasmlrun.Program):
        for name in inspect.signature(kind).parameters:
            assert re.search(rf"\b{name}\b", page), name
    for name in wasmlrun.__all__:
        if name not in ("__version__", "Limits", "Prediction", "Completed"):
            assert f"{name}" in page, name
