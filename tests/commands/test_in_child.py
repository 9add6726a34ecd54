"""Work in a child: walls are said, or why there are none."""

from __future__ import annotations

import ast
import errno
import os
from collections.abc import Callable
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import printing
from kit.outcome import Outcome

import wasmlrun
from wasmlrun.commands.work import in_child as watched
from wasmlrun.tiny import pack
from wasmlrun.walls.child import Fence

COMMANDS = Path(wasmlrun.__file__).parent / "commands"


def test_walls_cannot_be_forgotten() -> None:
    assert signature(watched.in_child).parameters["fence"].default is Parameter.empty


def test_no_command_works_without_walls() -> None:
    calls = [
        node
        for path in COMMANDS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "supervised"
    ]
    assert calls
    for call in calls:
        fences = [ast.unparse(k.value) for k in call.keywords if k.arg == "fence"]
        assert len(fences) == 1
        assert "None" not in fences[0]


@pytest.fixture
def fences(monkeypatch: pytest.MonkeyPatch) -> list[Fence | None]:
    """The walls that commands asked for; the work itself is not done."""
    asked: list[Fence | None] = []

    def supervised(*_: object, fence: Fence | None, **__: object) -> int:
        asked.append(fence)
        return 3

    monkeypatch.setattr(watched, "supervised", supervised)
    return asked


@pytest.mark.parametrize(
    "words",
    [
        ("compare", "photo.png", "--model", "m/model.onnx", "--labels", "labels.txt"),
        ("engines",),
        ("check", "m/worker.wasm", "--model", "m/model.onnx"),
        ("pack", "m/model.onnx", "--labels", "labels.txt", "--manifest", "m/worker.toml"),
        ("bench", "photo.png", "--worker", "m/worker.wasm", "--model", "m/model.onnx"),
    ],
    ids=lambda words: words[0],
)
def test_models_and_pictures_are_read_behind_walls(
    words: tuple[str, ...], fences: list[Fence | None], invoke: Callable[..., Outcome]
) -> None:
    assert invoke(*words).code == 3
    (fence,) = fences
    assert fence is not None
    assert fence.reach is not None
    named = {Path(word) for word in words[1:] if "." in word}
    assert named <= set(fence.reach.reading)
    assert not fence.reach.network


def test_pack_tells_what_the_system_refuses(
    monkeypatch: pytest.MonkeyPatch, invoke: Callable[..., Outcome], colours: Path
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "module.wasm")

    monkeypatch.setattr(pack, "make_ready", refused)
    done = invoke("pack", colours)
    assert done.stderr.startswith("error: ")
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_tells_a_wrong_model_and_tries_nothing(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    worker = make_worker(tmp_path, printing("x"))
    done = run_cli(["check", worker, "--model", tmp_path / "none.onnx"])
    assert (done.code, done.stdout) == (3, "")
    assert "none.onnx" in done.stderr
    assert "cases passed" not in done.stderr
