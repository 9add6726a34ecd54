"""What a shell completes, asked as a shell asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wasmlrun.models.catalogue import catalogue


@pytest.fixture
def complete(own_home: dict[str, str], tmp_path: Path):  # type: ignore[no-untyped-def]
    """`complete("models", "pull", "eff")`: what bash is offered for the last word."""

    def ask(*words: str) -> list[str]:
        asked = {
            **os.environ,
            **own_home,
            "WASMLRUN_DATA_DIR": str(tmp_path / "data"),
            "_WASMLRUN_COMPLETE": "bash_complete",
            "COMP_WORDS": " ".join(["wasmlrun", *words]),
            "COMP_CWORD": str(len(words)),
        }
        done = subprocess.run(
            [sys.executable, "-m", "wasmlrun"],
            env=asked,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return [line.partition(",")[2] or line for line in done.stdout.splitlines()]

    return ask


def test_models_are_completed(complete, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert complete("models", "pull", "efficientnet") == [
        name for name in catalogue() if name.startswith("efficientnet")
    ]
    assert "mobilenet-cifar10" in complete("classify", "--model", "mobile")
    # a file that is to be used must be here, a model too
    assert "mobilenet-v2" not in complete("classify", "--model", "mobile")
    (tmp_path / "data" / "models" / "mobilenet-v2").mkdir(parents=True)
    assert "mobilenet-v2" in complete("classify", "--model", "mobile")
    assert complete("models", "remove", "mobilenet-v") == ["mobilenet-v2"]


def test_workers_and_interpreters_are_completed(complete, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    project = tmp_path / "mine"
    project.mkdir()
    (project / "w.toml").write_text('name = "w"\nversion = "1"\n')
    (project / "w.py").write_text("")
    (tmp_path / "minor").mkdir()
    assert [w for w in complete("classify", "--worker", "mi") if w != "mi"] == ["mine"]
    assert "mobilenet" in complete("run", "mob")
    assert complete("runtimes", "install", "py") == ["python"]


def test_pictures_are_files(complete) -> None:  # type: ignore[no-untyped-def]
    assert complete("classify", "pho") == ["pho"], "the shell's own files"
