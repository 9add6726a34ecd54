"""Answers on stdout: JSON, tab-separated lines and tables say the same."""

from __future__ import annotations

import io
import json

import pytest

from wasmlrun.pipeline.result import Expectation, ImageResult
from wasmlrun.report.answer import Asked
from wasmlrun.report.registry import for_stream
from wasmlrun.report.renderers.json_lines import JsonLines
from wasmlrun.report.renderers.lines import TabLines
from wasmlrun.report.renderers.table import Tables
from wasmlrun.report.reporter import Reporter, open_report
from wasmlrun.report.views.images import answer
from wasmlrun.support.errors import BadImage
from wasmlrun.support.messages import Messages
from wasmlrun.vision.labels import Prediction

RESULT = ImageResult(
    "pets/cat.jpg",
    "mobilenet",
    "net.tflite",
    [Prediction(286, "Egyptian cat", 0.7617), Prediction(None, "tabby", 0.12)],
    {"total": 12.3456, "run": 1.0},
)
ERROR = BadImage("image x is empty", "take another")


ASKED = Asked("classify", "image", ("pets/cat.jpg",))


def report(stream: io.StringIO, *, as_json: bool = False) -> Reporter[ImageResult]:
    said = Messages(stream=io.StringIO())
    return open_report(answer, ASKED, said, as_json=as_json, stream=stream)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_keys_of_json_are_a_contract() -> None:
    stream = io.StringIO()
    report(stream, as_json=True).result(RESULT)
    assert stream.getvalue().endswith("}\n")
    assert json.loads(stream.getvalue()) == {
        "schema": 1,
        "image": "pets/cat.jpg",
        "worker": "mobilenet",
        "model": "net.tflite",
        "predictions": [
            {"index": 286, "label": "Egyptian cat", "score": 0.7617},
            {"index": None, "label": "tabby", "score": 0.12},
        ],
        "timings_ms": {"total": 12.35, "run": 1.0},
    }


def test_an_expectation_is_part_of_json_when_there_was_one() -> None:
    stream = io.StringIO()
    expectation = Expectation("cat, dog", 0.5, met=False)
    report(stream, as_json=True).result(ImageResult("x", "w", None, [], {}, expectation))
    entry = json.loads(stream.getvalue())
    assert entry["expected"] == {"labels": "cat, dog", "min_score": 0.5, "met": False}
    assert entry["model"] is None


@pytest.mark.parametrize("sure", [True, False])
def test_whether_it_is_sure_is_part_of_json_where_that_is_known(sure: bool) -> None:
    stream = io.StringIO()
    report(stream, as_json=True).result(ImageResult("x", "w", None, [], {}, sure=sure))
    assert json.loads(stream.getvalue())["sure"] is sure


def test_failures_are_part_of_json() -> None:
    stream = io.StringIO()
    report(stream, as_json=True).fail(ERROR, "x")
    report(stream, as_json=True).fail(BadImage("no hint"))
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == {
        "schema": 1,
        "image": "x",
        "error": {"code": "bad-image", "message": "image x is empty", "hint": "take another"},
    }
    assert second["image"] is None
    assert second["error"]["hint"] is None


def test_json_is_one_object_a_line_and_keeps_letters_as_they_are() -> None:
    stream = io.StringIO()
    report(stream, as_json=True).result(
        ImageResult("a\nb", "w", None, [Prediction(0, "Bär", 1.0)], {})
    )
    (line,) = stream.getvalue().splitlines()
    assert "Bär" in line
    assert json.loads(line)["image"] == "a\nb"


def test_plain_lines_are_image_label_score_index() -> None:
    stream = io.StringIO()
    report(stream).result(RESULT)
    assert stream.getvalue() == (
        "pets/cat.jpg\tEgyptian cat\t0.7617\t286\npets/cat.jpg\ttabby\t0.1200\t\n"
    )


def test_plain_lines_keep_their_four_fields_whatever_a_label_holds() -> None:
    stream = io.StringIO()
    report(stream).result(
        ImageResult("a\tb\n", "w", None, [Prediction(0, "x\ty\nz\x1b[2J", 1.0)], {})
    )
    (line,) = stream.getvalue().splitlines()
    assert len(line.split("\t")) == 4
    assert "\x1b" not in line


def test_a_table_has_the_same_labels_and_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    report(stream).result(RESULT)
    title, first, second = [line for line in stream.getvalue().splitlines() if line.strip()]
    assert "pets/cat.jpg" in title
    assert "Egyptian cat" in first
    assert "76.2%" in first
    assert "tabby" in second
    assert "12.0%" in second
    # the bar of the higher score is longer
    assert first.count("█") > second.count("█") > 0


def test_a_tables_scores_that_are_no_probabilities_are_not_percent() -> None:
    stream = Terminal()
    report(stream).result(ImageResult("x", "w", None, [Prediction(None, "a", 812.5)], {}))
    assert "812.5" in stream.getvalue()
    assert "%" not in stream.getvalue()


def test_labels_are_not_markup_and_do_not_steer_the_terminal() -> None:
    stream = Terminal()
    label = "[red]x[/red]\x1b[2J"
    report(stream).result(ImageResult("[b]i", "w", None, [Prediction(0, label, 0.5)], {}))
    assert "[red]x[/red]" in stream.getvalue()
    assert "[b]i" in stream.getvalue()
    assert "\x1b[2J" not in stream.getvalue()


def test_the_form_is_chosen_by_the_flag_and_the_stream() -> None:
    assert isinstance(for_stream(True, Terminal(), ASKED), JsonLines)
    assert isinstance(for_stream(False, Terminal(), ASKED), Tables)
    assert isinstance(for_stream(False, io.StringIO(), ASKED), TabLines)


def test_only_json_puts_failures_on_stdout() -> None:
    for stream in (io.StringIO(), Terminal()):
        assert report(stream).fail(ERROR, "x") == 3
        assert stream.getvalue() == ""


def test_every_failure_is_told_on_stderr_once() -> None:
    said = io.StringIO()
    for as_json in (False, True):
        told = open_report(
            answer, ASKED, Messages(stream=said), as_json=as_json, stream=io.StringIO()
        )
        told.fail(ERROR, "x")
    assert said.getvalue() == "error: image x is empty\nhint: take another\n" * 2


def test_what_an_action_raises_is_told_and_is_the_exit_code() -> None:
    def act() -> None:
        raise ERROR

    stream = io.StringIO()
    assert report(stream, as_json=True).run(act) == 3
    assert json.loads(stream.getvalue())["error"]["code"] == "bad-image"
    assert report(io.StringIO()).run(lambda: None) == 0
    assert report(io.StringIO()).run(lambda: 1) == 1
