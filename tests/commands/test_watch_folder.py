"""`wasmlrun classify --watch`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CLI = Callable[..., Any]
ROOT = Path(__file__).parents[2]
PATIENCE = 120.0


class Watching:
    """A command that watches a folder, and what it has printed."""

    def __init__(self, process: subprocess.Popen[bytes], out: Path, err: Path) -> None:
        self.process, self._out, self._err = process, out, err

    @property
    def lines(self) -> list[list[str]]:
        return [line.split("\t") for line in self._out.read_text().splitlines()]

    @property
    def said(self) -> str:
        return self._err.read_text()

    def until(self, there: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not there():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.02)

    def ended_by(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def watching(
    folder: Path, beside: Path, environ: dict[str, str], *options: str | Path
) -> Iterator[Watching]:
    out, err = beside / "out", beside / "err"
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "wasmlrun", "classify", "--watch", folder, "-k", "1", *options],
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            # tests that run in the background have it ignored, and so would this
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        try:
            found = Watching(process, out, err)
            found.until(lambda: "watching " in found.said)
            yield found
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    folder.mkdir()
    return folder


def test_what_arrives_is_classified_until_ctrl_c(
    own_home: dict[str, str], inbox: Path, tmp_path: Path
) -> None:
    samples = ROOT / "samples"
    shutil.copy(samples / "ship.jpg", inbox)
    with watching(inbox, tmp_path, own_home) as found:
        assert found.said == f"watching {inbox} for pictures; Ctrl-C ends it\n"
        shutil.copy(samples / "dog.jpg", inbox)
        found.until(lambda: len(found.lines) == 1)
        (inbox / "bad.png").write_bytes(b"junk")
        found.until(lambda: "bad.png is not an image" in found.said)
        shutil.copy(samples / "cat.jpg", inbox)
        found.until(lambda: len(found.lines) == 2)
        assert found.ended_by(signal.SIGINT) == 130
        assert [line[:2] for line in found.lines] == [
            [str(inbox / "dog.jpg"), "dog"],
            [str(inbox / "cat.jpg"), "cat"],
        ]
        assert found.said.count("is a demonstration") == 1
        assert found.said.endswith("interrupted\n")


def test_sigterm_ends_it(own_home: dict[str, str], inbox: Path, tmp_path: Path) -> None:
    with watching(inbox, tmp_path, own_home) as found:
        assert found.ended_by(signal.SIGTERM) in (143, -signal.SIGTERM)
        assert found.lines == []


def test_a_folder_that_goes_is_told(own_home: dict[str, str], inbox: Path, tmp_path: Path) -> None:
    with watching(inbox, tmp_path, own_home) as found:
        inbox.rmdir()
        assert found.process.wait(PATIENCE) == 3
        assert f"error: the folder {inbox} cannot be read: No such file" in found.said


def test_a_model_that_is_not_there_is_told_at_once(run_cli: CLI, inbox: Path) -> None:
    done = run_cli(["classify", "--watch", inbox, "--model", "nope"])
    assert (done.code, done.stdout) == (3, "")
    assert done.stderr.startswith("error: model nope does not exist\n")


def test_damage_in_the_model_is_told_at_once(run_cli: CLI, inbox: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"junk")
    done = run_cli(["classify", "--watch", inbox, "--model", bad])
    assert (done.code, done.stdout) == (3, "")
    assert "watching" not in done.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--watch", "nowhere"], "--watch nowhere: there is no such folder"),
        (["--watch", ".", "dog.jpg"], "--watch . and pictures by name"),
        (["--watch", ".", "--junit", "x.xml"], "--watch has no end, so --junit would never be"),
        (["--watch", ".", "--trace", "x.json"], "--watch has no end, so --trace would never be"),
        (["--watch", ".", "-o", "x.tsv"], "--watch has no end, so --output would never be"),
        ([], "Missing argument 'IMAGE...'"),
    ],
)
def test_what_cannot_be_asked_for(invoke: CLI, options: list[str], told: str) -> None:
    done = invoke("classify", *options)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {told}")
