"""`wasmlrun classify --show`: the picture in a terminal of each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.needs import needs
from PIL import Image

needs("pyte", "pyte")
needs("textual_image", "textual-image")

from kit.terminal import Shown, run_in_terminal  # noqa: E402 - only where it can be had

from wasmlrun.report.drawn import ROWS  # noqa: E402

ROOT = Path(__file__).parents[2]
DOG = ROOT / "samples" / "dog.jpg"
ATTRIBUTES = b"\x1b[c"
"""A terminal that gets this says what it can."""
SIXELS = re.compile(rb"\x1bP[0-9;]*q")
XTERM, SIXEL = b"\x1b[?62;22c", b"\x1b[?62;4;22c"


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "halves.png"
    image = Image.new("RGB", (64, 32), (255, 0, 0))
    image.paste((0, 0, 255), (32, 0, 64, 32))
    image.save(path)
    return path


def show(home: dict[str, str], picture: Path, **more: Any) -> Shown:
    environ = {**home, "COLORTERM": "truecolor", **more.pop("environ", {})}
    return run_in_terminal(["classify", "--show", "-q", picture], environ, **more)


def test_blocks_of_two_pixels(own_home: dict[str, str], picture: Path) -> None:
    shown = show(own_home, picture, answers={ATTRIBUTES: XTERM})
    assert shown.code == 0
    blocks = [line for line in shown.lines if "▀" in line]
    assert (len(blocks), len(blocks[0])) == (ROWS, 4 * ROWS)
    assert {("ff0000", "ff0000"), ("0000ff", "0000ff")} <= shown.colours
    assert "%" in shown.lines[-1]


def test_letters_where_no_colours_are_wanted(own_home: dict[str, str], picture: Path) -> None:
    shown = show(own_home, picture, environ={"NO_COLOR": "1"}, answers={ATTRIBUTES: XTERM})
    assert shown.colours == {("default", "default")}
    rows = shown.lines[-5 - ROWS :][:ROWS]
    assert len({*rows}) == 1
    assert len({*rows[0]}) <= 3


def test_sixels_where_the_terminal_has_them(own_home: dict[str, str], picture: Path) -> None:
    shown = show(own_home, picture, answers={ATTRIBUTES: SIXEL})
    assert SIXELS.search(shown.sent)
    assert shown.sent.count(b"\x1b\\") >= 1
    assert "▀" not in shown.text


def test_kitty_s_graphics_where_the_terminal_has_them(
    own_home: dict[str, str], picture: Path
) -> None:
    answers = {ATTRIBUTES: XTERM, b"a=q": b"\x1b_Gi=31;OK\x1b\\"}
    shown = show(own_home, picture, answers=answers)
    assert b"\x1b_G" in shown.sent.replace(b"a=q", b"")
    assert not SIXELS.search(shown.sent)


def test_standard_input_is_read_once_and_shown(own_home: dict[str, str], picture: Path) -> None:
    shown = run_in_terminal(
        ["classify", "--show", "-q", "-"], {**own_home, "COLORTERM": "truecolor"}, stdin=picture
    )
    assert shown.code == 0
    assert ATTRIBUTES not in shown.sent, "nobody could hear the answer"
    assert sum("▀" in line for line in shown.lines) == ROWS


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal_has_a_smaller_one(
    own_home: dict[str, str], picture: Path, columns: int
) -> None:
    shown = show(own_home, picture, columns=columns, answers={ATTRIBUTES: XTERM})
    widths = {len(line) for line in shown.lines if "▀" in line}
    assert widths == {columns - 1}


def test_a_pipe_and_json_get_none(run_cli: Callable[..., Any]) -> None:
    plain = run_cli(["classify", DOG, "-q"])
    assert run_cli(["classify", DOG, "-q", "--show"]) == plain
