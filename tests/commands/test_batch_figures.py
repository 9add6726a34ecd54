"""`wasmlrun batch` with a truth: figures when all rows are there, and what CI makes of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from kit.outcome import Outcome
from kit.pictures import encoded
from PIL import Image

if os.name != "posix":
    pytest.skip("batch works in processes that need POSIX", allow_module_level=True)

CLI = Callable[..., Outcome]
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture
def batch(run_cli: CLI, colours: Path, tmp_path: Path) -> CLI:
    """`batch(words…)` over three pictures in folders of their colours, and one in a wrong one."""
    for name, colour in {**COLOURS, "bright": (0, 0, 255)}.items():
        path = tmp_path / "photos" / name / "1.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(encoded(Image.new("RGB", (8, 8), colour)))

    def run(*words: str | Path, **how: Any) -> Outcome:
        model = ["--model", colours, "--labels", colours.parent / "colours.txt", "--jobs", "1"]
        return run_cli(["batch", "photos", "-o", "r.jsonl", *words, *model], cwd=tmp_path, **how)

    return run


def test_figures_follow_when_all_rows_are_there(batch: CLI, tmp_path: Path) -> None:
    words = ("--truth", "folder", "--expect-accuracy", "0.75", "--junit", "j.xml")
    done = batch(*words)
    assert done.code == 0, done.stderr
    assert "pictures\t4\n" in done.stdout
    assert "top-1\t75.00%\n" in done.stdout
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("5", "1", "0")
    assert {case.get("classname") for case in root.iter("testcase")} == {"wasmlrun.batch"}
    # more is expected of a batch that is whole already: nothing is classified again
    again = batch("--truth", "folder", "--expect-accuracy", "0.8", "--resume")
    assert again.code == 1
    assert "r.jsonl is complete already" in again.stderr
    assert "expected an accuracy of at least 0.8, got 0.7500: 3 of 4 are right" in again.stderr


def test_a_failed_picture_counts_more_than_an_accuracy(batch: CLI, tmp_path: Path) -> None:
    (tmp_path / "photos" / "red" / "2.png").write_bytes(b"no picture")
    done = batch("--truth", "folder", "--expect-accuracy", "0.7", "--junit", "j.xml")
    assert done.code == 3
    assert "got 0.6000: 3 of 5 are right" in done.stderr
    root = ElementTree.parse(tmp_path / "j.xml").getroot()
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "2", "1")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--expect-accuracy", "0.5"], 2, "--expect-accuracy needs to know what the pictures show"),
        (["--truth", "none.csv"], 3, "truth none.csv does not exist"),
        (["--junit", "none/j.xml"], 2, "--junit none/j.xml: the folder none does not exist"),
    ],
)
def test_what_cannot_be_judged_is_told_before_the_work(
    batch: CLI, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    done = batch(*words)
    assert (done.code, done.stdout) == (code, "")
    assert done.stderr.startswith(f"error: {message}")
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]
