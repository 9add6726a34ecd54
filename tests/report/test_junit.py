"""`--junit FILE`: a test case for each image, well-formed whatever names and labels hold."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.outcome import Outcome

from wasmlrun.pipeline.result import Expectation, ImageResult
from wasmlrun.report.answer import Asked
from wasmlrun.report.reporter import open_report
from wasmlrun.report.views.images import answer
from wasmlrun.support.errors import BadImage
from wasmlrun.support.messages import Messages
from wasmlrun.vision.labels import Prediction

CLI = Callable[..., Outcome]


def cases(path: Path) -> list[tuple[str, str, str]]:
    """Name, what it came to, and the message of each test case; counts are checked."""
    (suite,) = ElementTree.parse(path).getroot().iter("testsuite")
    found = []
    for case in suite.iter("testcase"):
        fault = next(iter(case), None)
        message = "" if fault is None else str(fault.get("message"))
        found.append((str(case.get("name")), "ok" if fault is None else fault.tag, message))
        assert float(str(case.get("time"))) >= 0
    states = [state for _, state, _ in found]
    assert int(str(suite.get("tests"))) == len(found)
    assert int(str(suite.get("failures"))) == states.count("failure")
    assert int(str(suite.get("errors"))) == states.count("error")
    return found


def result(name: str, label: str = "cat", *, met: bool = True) -> ImageResult:
    expected = Expectation(label if met else "dog", None, met)
    return ImageResult(name, "w", None, [Prediction(0, label, 0.5)], {"total": 12.0}, expected)


def test_met_unmet_and_failed(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    asked = Asked("classify", "image", ("a", "b", "c", "d"))
    report = open_report(
        answer, asked, Messages(-1, io.StringIO()), files={"junit": path}, stream=io.StringIO()
    )

    def work() -> int:
        report.result(result("a"))
        report.result(result("b", met=False))
        return report.fail(BadImage("image c is empty", "take another"), "c")

    assert report.run(work) == 3
    assert cases(path) == [
        ("a", "ok", ""),
        ("b", "failure", "b: expected 'dog', got 'cat' with 0.5000"),
        ("c", "error", "image c is empty"),
        ("d", "error", "no outcome: the command ended before"),
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["out.xml"]


def test_what_came_twice_counts_once_and_two_of_a_name_are_two(tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    asked = Asked("classify", "image", ("a", "b", "a"))
    report = open_report(
        answer, asked, Messages(-1, io.StringIO()), files={"junit": path}, stream=io.StringIO()
    )

    def work() -> None:
        for name in ("a", "b", "b", "a"):
            report.result(result(name))

    assert report.run(work) == 0
    assert [name for name, _, _ in cases(path)] == ["a", "b", "a"]


@given(st.text(), st.text())
def test_any_name_and_label_is_well_formed(name: str, label: str) -> None:
    path = Path(os.environ["HOME"]) / "any.xml"
    asked = Asked("classify", "image", (name, "\udcff\0\x1b<&\"'>]]>\ufffe"))
    report = open_report(
        answer, asked, Messages(-1, io.StringIO()), files={"junit": path}, stream=io.StringIO()
    )
    report.run(lambda: report.result(result(name, label, met=False)))
    (_, state, _), (other, _, _) = cases(path)
    assert state == "failure"
    assert other == "\ufffd\ufffd\ufffd<&\"'>]]>\ufffd"


def test_classify_writes_one_case_an_image(
    run_cli: CLI, red_image: Path, colours: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out.xml"
    labels = colours.parent / "colours.txt"
    words: list[str | Path] = ["classify", red_image, tmp_path / "none.png", red_image]
    words += ["--model", colours, "--labels", labels, "--junit", path]
    outcome = run_cli([*words, "--expect", "red"])
    assert outcome.code == 3
    assert [state for _, state, _ in cases(path)] == ["ok", "error", "ok"]
    assert run_cli([*words, "--expect", "blue"]).code == 3
    assert [state for _, state, _ in cases(path)] == ["failure", "error", "failure"]


def test_a_command_that_fails_as_a_whole_fails_each_image(
    run_cli: CLI, red_image: Path, tmp_path: Path
) -> None:
    path = tmp_path / "out.xml"
    outcome = run_cli(["classify", red_image, red_image, "--model", "none.onnx", "--junit", path])
    assert outcome.code == 3
    assert [c[1:] for c in cases(path)] == [("error", "model none.onnx does not exist")] * 2


def test_images_before_and_after_a_crash_are_all_there(
    run_cli: CLI, red_image: Path, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    """The second worker of two outlasts its time; parent and child told one file."""
    endless = make_worker(
        tmp_path, '(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))'
    )
    path = tmp_path / "out.xml"
    words = ["classify", red_image, red_image, "--worker", endless, "--model", "mobilenet-cifar10"]
    outcome = run_cli([*words, "--timeout", "0.5", "--junit", path])
    assert outcome.code == 5
    assert [state for _, state, _ in cases(path)] == ["error", "error"]


@pytest.mark.parametrize(
    ("place", "why"),
    [("", "is a folder"), ("none/out.xml", "does not exist")],
)
def test_a_place_that_cannot_be_written_is_told_before_the_work(
    invoke: CLI, red_image: Path, tmp_path: Path, place: str, why: str
) -> None:
    outcome = invoke("classify", red_image, "--json", "--junit", tmp_path / place)
    assert outcome.code == 2
    assert why in outcome.stderr
    assert '"code": "usage"' in outcome.stdout
    assert not list(tmp_path.iterdir())


def test_a_device_gets_the_bytes(invoke: CLI, red_image: Path) -> None:
    assert invoke("classify", red_image, "--junit", "/dev/null").code == 0
    assert not Path("/dev/null").is_file()


def test_check_and_doctor_write_their_cases(run_cli: CLI, tmp_path: Path) -> None:
    path = tmp_path / "out.xml"
    assert run_cli(["doctor", "--junit", path]).code == 0
    names = [name for name, _, _ in cases(path)]
    assert "default model" in names
    assert sum(name.startswith("sandbox: ") for name in names) >= 10
    silent = tmp_path / "w.wasm"
    assert run_cli(["check", silent, "--junit", path]).code == 3
    assert cases(path) == [("check", "error", f"worker {silent} does not exist")]
