"""What a person at a terminal sees: nothing wider than it, nothing broken that is a name."""

from __future__ import annotations

import io
import re
from functools import partial

import pytest

from wasmlrun.diagnose.conformance import Outcome
from wasmlrun.diagnose.doctor import CacheHealth, Findings, ModelTest
from wasmlrun.diagnose.escapes import Tried
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.report.answer import Answer, Asked, Columns
from wasmlrun.report.renderers.table import Tables, fitting
from wasmlrun.report.views import check, doctor, images, stores
from wasmlrun.vision.labels import Prediction

NAME = "a picture with a long name.jpg"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(answer: Answer, columns: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The lines on a terminal of so many columns, without colours."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    Tables(stream, Asked("x")).result(answer)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert all(len(line) <= columns for line in lines)
    return [line.rstrip() for line in lines]


def result(*predictions: tuple[str, float], image: str = "dog.jpg") -> ImageResult:
    found = [Prediction(n, label, score) for n, (label, score) in enumerate(predictions)]
    return ImageResult(image, "w", "m", found, {"total": 1.0})


@pytest.mark.parametrize("columns", [20, 30, 40, 80, 120])
def test_the_title_is_one_line_and_ends_with_the_name(
    columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the table itself is narrow: a title of its width would be broken
    answer = images.answer(result(("a", 0.9), image=f"/some/long/folder/of/pictures/{NAME}"))
    title = shown(answer, columns, monkeypatch)[0]
    assert title.endswith(NAME if columns > len(NAME) + 2 else NAME[-columns + 1 :])
    assert len(shown(answer, columns, monkeypatch)) == 2


def test_what_is_left_out_of_a_path_is_its_beginning() -> None:
    assert fitting("a/b.jpg", 7) == "a/b.jpg"
    assert fitting("aaaa/bb/c.jpg", 10) == "…/bb/c.jpg"
    assert fitting("aaaa/bb/c.jpg", 8) == "…/c.jpg"
    assert fitting("aaaa/bb/c.jpg", 5) == "….jpg"


@pytest.mark.parametrize("columns", [30, 36, 40, 50, 80])
def test_labels_survive_narrow_terminals(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = shown(
        images.answer(result(("golden retriever", 0.93), ("cat", 0.05))), columns, monkeypatch
    )
    assert "golden retriever" in rows[1]
    assert "93.0%" in rows[1]
    assert ("█" in rows[1]) == (columns >= 40)


def test_where_columns_have_no_room_rows_are_paragraphs(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [("net", "available", "3.0 MB", "a network that knows many things"), ("b", "x", "", "y")]
    answer = Answer([], [], Columns(rows, groups=["classifiers", "others"]))
    assert shown(answer, 30, monkeypatch) == [
        "classifiers",
        "net  available  3.0 MB  a",
        "  network that knows many",
        "  things",
        "",
        "others",
        "b  x  y",
    ]
    assert len(shown(answer, 80, monkeypatch)) == 5


def test_rows_of_nothing_are_left_out_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found = result(("dog", 0.9996), ("cat", 0.0004), ("car", 0.00002))
    assert len(shown(images.answer(found, every=False), 80, monkeypatch)) == 2
    assert len(shown(images.answer(found), 80, monkeypatch)) == 4
    assert len(images.answer(found, every=False).lines) == 3, "other programs get them all"
    nothing = result(("dog", 0.0001), ("cat", 0.00001))
    assert len(shown(images.answer(nothing, every=False), 80, monkeypatch)) == 2, "never no row"


GOOD = Findings(
    {"wasmlrun": "1"},
    ["CPU"],
    CacheHealth("/cache", 1, 2_500_000, "0", "0700"),
    ModelTest(True, "5 predictions"),
    [
        Tried("control: read a mounted file", True, "allowed, as it must be"),
        Tried("open ../x", True, "refused: not permitted"),
    ],
    {"files": None, "system calls": None},
)


def test_doctor_sums_the_sandbox_up(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(doctor.answer(GOOD, every=False), 80, monkeypatch)
    assert "ok  cache          /cache: 1 entries, 2.5 MB, mode 0700" in lines
    assert "ok  sandbox        1 attempts to break out failed, as they must" in lines
    assert "ok  walls          all 2 stand around the work" in lines
    assert lines[-1] == "all 8 checks are ok"
    assert not [line for line in lines if "error number" in line]
    lines = shown(doctor.answer(GOOD), 80, monkeypatch)
    assert "ok  sandbox: open ../x                     refused: not permitted" in lines


def test_doctor_shows_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = [*GOOD.sandbox, Tried("escape", False, "NOT refused: it succeeded")]
    bad = Findings(GOOD.versions, [], GOOD.cache, GOOD.model, sandbox, GOOD.walls)
    lines = shown(doctor.answer(bad, every=False), 80, monkeypatch)
    assert any(line.startswith("FAILED  devices") for line in lines)
    assert any(line.startswith("FAILED  sandbox: escape  NOT refused") for line in lines)
    assert lines[-1] == "2 of 9 checks FAILED"


def test_cases_that_come_one_by_one_stand_in_line(monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [
        Outcome("a picture: GIF", True, "dog 0.9"),
        Outcome("missing variables are an error, not a crash", False, "it crashed"),
    ]
    lines = [shown(check.answer(case), 80, monkeypatch)[0] for case in cases]
    assert lines[0].index("dog") == lines[1].index("it crashed")
    assert [line.split()[0] for line in lines] == ["pass", "FAIL"]


def test_what_is_kept_has_readable_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    see = partial(shown, columns=80, monkeypatch=monkeypatch)
    found = {"path": "/c", "entries": 2, "bytes": 1_500_000, "bound": 2_147_483_648}
    assert see(stores.cache(found))[-1] == "size     1.5 MB of at most 2.1 GB"
    assert ("bytes", "1500000") in stores.cache(found).lines
    entry = {
        "kind": "models",
        "key": "k" * 64,
        "what": "a model",
        "bytes": 999,
        "used": "2026-01-02T03:04:05+00:00",
    }
    lines = see(stores.entries([entry]))
    assert lines == ["models  999 bytes  2026-01-02 03:04  a model", "", "1 entry, 999 bytes"]
    assert see(stores.entries([])) == ["the cache is empty"]
    runtimes = [
        {"name": "ruby", "runtime": "mruby", "ready": True, "bytes": 700_000},
        {"name": "python", "runtime": "CPython", "ready": False, "bytes": 0},
    ]
    lines = see(stores.runtimes(runtimes))
    assert lines[0] == "ruby    mruby    ready, 700 kB"
    assert lines[1] == "python  CPython  not prepared: wasmlrun runtimes install python"
    assert lines[-1] == "1 of 2 are prepared"
