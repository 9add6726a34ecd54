"""`wasmlrun report` and `wasmlrun compare RESULT RESULT`: figures on stdout, a page in a file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from kit.outcome import Outcome
from kit.pictures import encoded, red_left
from kit.results import answered, failed, write_rows

HOSTILE = "<img src=x onerror=alert(1)>\"'&\u202egpj.exe"


class Page(HTMLParser):
    """What stands in a page, by kind."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """Four pictures in two folders, one of them damaged, and a row that failed."""
    for name in ("cat/1.png", "cat/2.png", "dog/1.png"):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(red_left()))
    (tmp_path / "pictures" / "dog" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nno")
    return write_rows(
        tmp_path / "result.jsonl",
        answered("x/cat/1.png", ("cat", 0.9), ("dog", 0.1)),
        answered("x/cat/2.png", ("dog", 0.8), ("cat", 0.2)),
        answered("x/dog/1.png", ("dog", 0.6), ("cat", 0.4)),
        answered("x/dog/2.png", ("dog", 0.7), ("cat", 0.3)),
        failed("x/dog/3.png", "bad-image", "image x/dog/3.png is damaged"),
    )


def test_figures_as_json(result: Path, invoke: Callable[..., Outcome]) -> None:
    done = invoke("report", result, "--truth", "folder", "--json")
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pictures"], found["answered"], found["errors"]) == (5, 4, {"bad-image": 1})
    assert found["latency_ms"]["p50"] == pytest.approx(10, rel=0.01)
    accuracy = found["accuracy"]
    assert (accuracy["top1"], accuracy["top5"], accuracy["pictures"]) == (0.6, 0.8, 5)
    assert accuracy["confusion"] == [{"shows": "cat", "taken_for": "dog", "pictures": 1}]
    cat, dog = accuracy["classes"]
    assert (cat["precision"], cat["recall"]) == (1.0, 0.5)
    assert (dog["precision"], dog["recall"]) == (0.666667, 0.666667)
    assert accuracy["calibration"]["error"] == pytest.approx((0.1 + 0.8 + 0.4 + 0.3) / 4)


def test_figures_as_lines(result: Path, invoke: Callable[..., Outcome]) -> None:
    lines = invoke("report", result, "--truth", "folder").stdout.splitlines()
    told = dict(line.split("\t") for line in lines)
    assert told["pictures"] == "5"
    assert told["failed: bad-image"] == "1"
    assert (told["top-1"], told["top-2"]) == ("60.00%", "80.00%")
    assert "accuracy" not in invoke("report", result).stdout


def test_a_page_is_whole_by_itself(
    result: Path, tmp_path: Path, run_cli: Callable[..., Outcome]
) -> None:
    pictures, page = tmp_path / "pictures", tmp_path / "report.html"
    words = ["report", result, "--truth", "folder", "--pictures", pictures, "-o", page]
    done = run_cli([*words, "--require-isolation"])
    assert done.code == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert not found.all("script")
    images = found.all("img")
    assert {str(image["src"])[:23] for image in images} == {"data:image/jpeg;base64,"}
    # three of them can be read; the wrong one stands in two places
    assert {image["alt"] for image in images} == {"x/cat/1.png", "x/cat/2.png", "x/dog/1.png"}
    assert "x/dog/2.png no picture that can be read" in found.words
    assert not [a for _, a in found.tags if {"href", "src"} & set(a) and "http" in str(a)]
    policy = [m for m in found.all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert str(policy[0]["content"]).startswith("default-src 'none'; style-src 'sha256-")
    assert "60.0%" in found.words
    assert "image x/dog/3.png is damaged" in found.words
    # only what was asked for is left
    assert {p.name for p in tmp_path.iterdir()} == {"pictures", "report.html", "result.jsonl"}


def test_a_page_on_stdout(result: Path, invoke: Callable[..., Outcome]) -> None:
    done = invoke("report", result, "-o", "-")
    assert done.stdout.startswith("<!doctype html>\n")
    assert done.stdout.rstrip().endswith("</html>")


def test_names_from_elsewhere_are_text(tmp_path: Path, invoke: Callable[..., Outcome]) -> None:
    rows = [
        answered(f"{HOSTILE}/1.png", (HOSTILE, 0.9), ("x" * 100_000, 0.1)),
        {**answered("b\ud800/2.png", ("\x00\x1b[2J", 0.9)), "model": HOSTILE},
        failed(HOSTILE, HOSTILE, HOSTILE),
    ]
    page = tmp_path / "report.html"
    path = write_rows(tmp_path / "<b>r", *rows)
    done = invoke("report", path, "--truth", "folder", "-o", page)
    assert done.code == 0, done.stderr
    text = page.read_text(encoding="utf-8")
    found = Page(text)
    assert not found.all("script")
    assert not found.all("img")
    assert "alert(1)" in found.words
    assert not re.search("[\x00\x1b\u202e]", text + done.stdout)
    assert len(text) < 60_000
    attributes = {name for _, attributes in found.tags for name in attributes}
    assert not {name for name in attributes if name.startswith("on") or name == "style"}


def test_pictures_outside_the_folder_are_not_looked_at(
    tmp_path: Path, invoke: Callable[..., Outcome]
) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(red_left()))
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "link.png").symlink_to(tmp_path / "secret.png")
    names = (str(tmp_path / "secret.png"), "../secret.png", "link.png", "/etc/passwd", "\x00")
    path = write_rows(tmp_path / "r", *(answered(name, ("a", 0.5)) for name in names))
    page = tmp_path / "r.html"
    assert invoke("report", path, "--pictures", folder, "-o", page).code == 0
    found = Page(page.read_text(encoding="utf-8"))
    assert not found.all("img")
    assert found.words.count("not in the folder of pictures") == len(names)


_CRASHING = """
import os, signal, sys
from wasmlrun.vision import thumbnail as module
sound = module.thumbnail
def thumbnail(data, name, side):
    if name.startswith("x/cat"):
        os.kill(os.getpid(), signal.SIGSEGV)
    return sound(data, name, side)
module.thumbnail = thumbnail
from wasmlrun.cli import invoke
sys.exit(invoke(sys.argv[1:]))
"""


def test_a_picture_that_crashes_its_decoder_is_left_out(result: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    words = ["report", result, "--pictures", tmp_path / "pictures", "-o", page]
    done = subprocess.run(
        [sys.executable, "-c", _CRASHING, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = Page(page.read_text(encoding="utf-8"))
    assert {image["alt"] for image in found.all("img")} == {"x/dog/1.png"}
    assert found.words.count("its decoder crashed") == 2


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.jsonl"], 3, "result none.jsonl cannot be read: No such file or directory"),
        (["{result}", "--truth", "none.csv"], 3, "truth none.csv does not exist"),
        (
            ["{result}", "--expect-accuracy", "0.5"],
            2,
            "--expect-accuracy needs to know what the pictures show",
        ),
        (
            ["{result}", "--truth", "folder", "--expect-accuracy", "88"],
            2,
            "--expect-accuracy 88: an accuracy is from 0 to 1\nhint: write --expect-accuracy 0.88",
        ),
        (
            ["{result}", "--junit", "none/x.xml"],
            2,
            "--junit none/x.xml: the folder none does not exist",
        ),
        (["{result}", "--pictures", "."], 2, "--pictures is for a page"),
        (
            ["{result}", "--pictures", "none", "-o", "x.html"],
            2,
            "--pictures none: there is no such folder",
        ),
        (["{result}", "-o", "none/x.html"], 2, "-o none/x.html: the folder none does not exist"),
        (["{result}", "-o", "."], 2, "-o .: is a folder"),
        (["."], 3, "result . cannot be read: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_reported_is_told(
    words: list[str], code: int, message: str, result: Path, run_cli: Callable[..., Outcome]
) -> None:
    done = run_cli(["report", *(w.format(result=result) for w in words)], cwd=result.parent)
    assert done.code == code
    assert done.stderr.startswith(f"error: {message}"), done.stderr
    assert not list(result.parent.glob("*.html"))


@pytest.mark.parametrize(("least", "code"), [("0.6", 0), ("0.61", 1)])
def test_an_accuracy_can_be_expected(
    result: Path, tmp_path: Path, run_cli: Callable[..., Outcome], least: str, code: int
) -> None:
    junit = tmp_path / "junit.xml"
    words = ["report", result, "--truth", "folder", "--expect-accuracy", least, "--junit", junit]
    done = run_cli(words)
    assert (done.code, "top-1\t60.00%" in done.stdout) == (code, True), done.stderr
    said = "expected an accuracy of at least 0.61, got 0.6000: 3 of 5 are right"
    assert done.stderr == ("" if code == 0 else said + "\n")
    root = ElementTree.parse(junit).getroot()
    counts = {name: root.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "6", "failures": str(1 + code), "errors": "1", "skipped": "0"}
    cases = {case.get("name"): case for case in root.iter("testcase")}
    assert len(cases) == 6
    assert len(cases["accuracy"]) == code
    assert cases["x/cat/1.png"].get("classname") == "wasmlrun.report"
    assert cases["x/cat/1.png"].get("time") == "0.0100"
    failure, error = cases["x/cat/2.png"].find("failure"), cases["x/dog/3.png"].find("error")
    assert failure is not None
    assert failure.text == "expected 'cat', got 'dog' with 0.8000"
    assert error is not None
    assert (error.get("type"), error.text) == ("bad-image", "image x/dog/3.png is damaged")


def test_names_from_elsewhere_are_text_in_xml_too(
    tmp_path: Path, invoke: Callable[..., Outcome]
) -> None:
    rows = [answered('<&\x00\ud800\n">', ("a", 0.5)), failed("]]>", "x", "]]>\x1b<b>")]
    junit = tmp_path / "j.xml"
    done = invoke("report", write_rows(tmp_path / "r", *rows), "--junit", junit)
    assert done.code == 0, done.stderr
    root = ElementTree.parse(junit).getroot()
    names = [case.get("name") for case in root.iter("testcase")]
    assert names == ['<&\ufffd\ufffd\n">', "]]>"]
    assert [error.text for error in root.iter("error")] == ["]]>\ufffd<b>"]


def test_a_page_that_was_there_stays_when_another_fails(
    result: Path, tmp_path: Path, invoke: Callable[..., Outcome]
) -> None:
    page = tmp_path / "report.html"
    page.write_text("as it was")
    result.write_text("no row")
    assert invoke("report", result, "-o", page).code == 3
    assert page.read_text() == "as it was"


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another model's result for the same pictures."""
    return write_rows(
        tmp_path / "other.jsonl",
        answered("x/dog/2.png", ("cat", 0.6), ("dog", 0.4)),
        answered("x/cat/1.png", ("cat", 0.9), ("dog", 0.1)),
        answered("x/cat/2.png", ("cat", 0.8), ("dog", 0.2)),
        answered("x/dog/1.png", ("dog", 0.6), ("cat", 0.4)),
    )


def test_two_results_as_json(result: Path, other: Path, run_cli: Callable[..., Outcome]) -> None:
    done = run_cli(["compare", result, other, "--truth", "folder", "--json"])
    assert done.code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["pictures"], found["same"], found["agreement"]) == (4, 2, 0.5)
    assert found["changes"] == [{"before": "dog", "after": "cat", "pictures": 2}]
    assert found["scores"]["max_difference"] == pytest.approx(0.6)
    assert found["examples"][0] == {
        "image": "x/cat/2.png",
        "before": {"label": "dog", "score": 0.8},
        "after": {"label": "cat", "score": 0.8},
    }
    assert found["accuracy"] == {
        "pictures": 4,
        "first": 0.75,
        "second": 0.75,
        "only_first_right": 1,
        "only_second_right": 1,
        "mcnemar_p": 1.0,
        "mcnemar": "exact",
    }


def test_two_results_as_lines(result: Path, other: Path, invoke: Callable[..., Outcome]) -> None:
    lines = invoke("compare", result, other, "--truth", "folder").stdout.splitlines()
    assert "same label\t2 (50.00%)" in lines
    assert "dog → cat\t2" in lines
    assert "x/cat/2.png\tdog 80.0% → cat 80.0%" in lines
    assert "McNemar's test\tp = 1 (exact)" in lines
    assert "accuracy" not in invoke("compare", result, other, "--json").stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["a", "b", "c"], 2, "compare takes one picture or two results"),
        (["a", "b", "--backend", "onnx"], 2, "--backend is for comparing one picture"),
        (["a", "b", "-n", "9"], 2, "-n is for comparing one picture"),
        (["a", "--truth", "folder"], 2, "--truth is for comparing two results"),
        (["a", "{result}"], 3, "result a cannot be read: No such file or directory"),
    ],
)
def test_what_cannot_be_compared_is_told(
    words: list[str], code: int, message: str, result: Path, invoke: Callable[..., Outcome]
) -> None:
    done = invoke("compare", *(word.format(result=result) for word in words))
    assert done.code == code
    assert f"error: {message}" in done.stderr
