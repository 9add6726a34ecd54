"""`--output FILE`, of classify and of what else answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.tour import prepare

from wasmlrun.report.saved import into_file
from wasmlrun.support.errors import CannotWrite, UsageFault

CLI = Callable[..., Any]
ROOT = Path(__file__).parents[2]
DOG, CAT = ROOT / "samples" / "dog.jpg", ROOT / "samples" / "cat.jpg"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_it_is_what_stdout_would_get(run_cli: CLI, tmp_path: Path, form: list[str]) -> None:
    file = tmp_path / "answers"
    words = ["classify", DOG, "none.jpg", CAT, "-k", "1", *form]
    plain, saved = run_cli(words), run_cli([*words, "-o", file])
    assert (saved.code, saved.stdout) == (plain.code, "") == (3, "")
    assert saved.stderr == plain.stderr
    text = file.read_text()
    if form:
        found, wanted = (list(map(json.loads, t.splitlines())) for t in (text, plain.stdout))
        for record in [*found, *wanted]:
            record.pop("timings_ms", None)
        assert found == wanted
    else:
        assert text == plain.stdout
    assert os.listdir(tmp_path) == ["answers"]


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "colours.onnx"],
        ["compare", "red.png", "--model", "colours.onnx"],
        ["bench", "red.png", "--model", "colours.onnx", "-n", "1"],
        ["check", "seven.wasm", "--model", "colours.onnx"],
        ["doctor"],
        ["engines"],
        ["config"],
        ["cache", "info"],
        ["cache", "ls"],
        ["runtimes", "list"],
        ["models", "list"],
        ["models", "search", "ocr"],
        ["models", "info", "mobilenet-cifar10"],
        ["models", "verify"],
    ],
    ids=lambda words: "-".join(words[:2]),
)
def test_other_answers_go_to_a_file_too(run_cli: CLI, tmp_path: Path, words: list[str]) -> None:
    prepare(tmp_path)
    plain = run_cli(words, cwd=tmp_path)
    saved = run_cli([*words, "--output", "answer"], cwd=tmp_path)
    assert (saved.code, saved.stdout) == (plain.code, ""), saved.stderr
    found = (tmp_path / "answer").read_text()
    assert len(found.splitlines()) == len(plain.stdout.splitlines()) > 0
    assert found.split("\t")[0] == plain.stdout.split("\t")[0] or words[0] in ("compare", "bench")
    refused = run_cli([*words, "-o", "no/answer"], cwd=tmp_path)
    assert (refused.code, refused.stdout) == (2, "")
    assert "error: --output no/answer: " in refused.stderr


def test_a_failure_leaves_what_was_there(run_cli: CLI, tmp_path: Path) -> None:
    file = tmp_path / "answers"
    file.write_text("before\n")
    done = run_cli(["classify", DOG, "--output", file, "--model", "nope"])
    assert (done.code, done.stdout) == (3, "")
    assert file.read_text() == "before\n"


def test_ctrl_c_leaves_what_was_there(own_home: dict[str, str], tmp_path: Path) -> None:
    file, slow = tmp_path / "answers", tmp_path / "slow"
    file.write_text("before\n")
    os.mkfifo(slow)  # nobody ever writes to it
    process = subprocess.Popen(
        [sys.executable, "-m", "wasmlrun", "classify", DOG, slow, "-o", file, "--timeout", "100"],
        stderr=subprocess.PIPE,
        env={**os.environ, **own_home, "PYTHONPATH": str(ROOT)},
    )
    with slow.open("wb"):  # it is waited for from here on
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert (process.returncode, said.splitlines()[-1]) == (130, b"interrupted")
    assert file.read_text() == "before\n"
    assert sorted(os.listdir(tmp_path)) == ["answers", "slow"]


@pytest.mark.parametrize("where", ["", "nowhere/answers"])
def test_where_no_file_can_be(where: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=r"is a folder|does not exist"):
        into_file(tmp_path / where, lambda: pytest.fail("it must not begin"))


def test_a_folder_that_goes_meanwhile(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()

    def act() -> int:
        print("an answer")
        folder.rmdir()
        return 0

    with pytest.raises(CannotWrite, match="cannot be written: No such file"):
        into_file(folder / "answers", act)


def test_a_dash_is_stdout(run_cli: CLI) -> None:
    words = ["classify", DOG, "-q"]
    assert run_cli([*words, "-o", "-"]) == run_cli(words)
