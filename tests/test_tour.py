"""A tour of every command on a terminal: what it shows is kept in `tests/tour`.

Where a text is meant to change, `TOUR=record` in the environment writes it anew:

    TOUR=record python -m pytest tests/test_tour.py
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from kit.needs import needs

needs("pyte", "pyte")

from kit.terminal import Shown, run_in_terminal  # noqa: E402 - only where it can be had
from kit.tour import LOOSE, OF_ITS_OWN, SCENES, VIEWS, prepare  # noqa: E402

from wasmlrun.commands.line import usage  # noqa: E402
from wasmlrun.commands.line.clickform import wasmlrun as program  # noqa: E402

KEPT = Path(__file__).parent / "tour"
READABLE = {"default", "green", "magenta"}
"""Colours that are seen on a dark ground and on a light one."""
ESCAPE = re.compile(rb"\x1b\[[0-9;]*m")
TIME = re.compile(r"\b[0-9.]+(?= (?:ms|µs|s)\b)|(?<=Gi=)[0-9]+")
"""What differs from run to run: times, and the number of a question about kitty's graphics."""
COLOURFUL = ("classify", "classify-several", "models-info", "compare", "help", "unknown")


def look(
    scene: str, home: dict[str, str], folder: Path, columns: int, **environ: str
) -> tuple[Shown, list[str]]:
    """The scene, and its lines before the terminal broke those that are too long."""
    prepare(folder)
    shown = run_in_terminal(
        SCENES[scene],
        {
            **home,
            "COLORTERM": "truecolor",
            **OF_ITS_OWN.get(scene, {}),
            **environ,
        },
        columns=columns,
        cwd=folder,
        answers={b"\x1b[c": b"\x1b[?62c"},
    )
    return shown, ESCAPE.sub(b"", shown.sent).decode().splitlines()


def kept(shown: Shown) -> str:
    """What is kept of a scene."""
    return f"exit {shown.code}\n" + TIME.sub("#", shown.text)


@pytest.mark.parametrize(("scene", "columns"), VIEWS)
def test_how_it_looks(
    scene: str, columns: int, own_home: dict[str, str], outside: dict[str, str], tmp_path: Path
) -> None:
    # the compiler's own cache outlives the tests' home
    cache = outside.get("ZIG_GLOBAL_CACHE_DIR", str(Path(outside["HOME"], ".cache", "zig")))
    shown, lines = look(scene, own_home, tmp_path, columns, ZIG_GLOBAL_CACHE_DIR=cache)
    assert shown.code != 70, shown.text
    used = {colour for pair in shown.colours for colour in pair}
    assert used <= READABLE or scene == "classify-show", "a colour that some grounds swallow"
    for line in lines:
        # a word that is longer than the line is all that a terminal may break
        assert len(line) <= columns or "/" in line or line.startswith("{"), line
    if scene in LOOSE:
        return
    text = kept(shown)
    file = KEPT / f"{scene}.{columns}.txt"
    if os.environ.get("TOUR") == "record":
        KEPT.mkdir(exist_ok=True)
        file.write_text(text)
    assert text == file.read_text()


def test_nothing_is_kept_that_is_not_shown() -> None:
    there = {path.name for path in KEPT.glob("*.txt")}
    assert there == {f"{scene}.{columns}.txt" for scene, columns in VIEWS if scene not in LOOSE}


@pytest.mark.parametrize("scene", COLOURFUL)
def test_without_colours_it_says_the_same(
    scene: str, own_home: dict[str, str], tmp_path: Path
) -> None:
    plain, _ = look(scene, own_home, tmp_path, 80, NO_COLOR="1")
    assert {colour for pair in plain.colours for colour in pair} <= {"default"}
    assert kept(plain) == (KEPT / f"{scene}.80.txt").read_text()


@pytest.mark.parametrize("scene", COLOURFUL)
def test_a_pipe_gets_no_steering(scene: str, run_cli: Callable[..., Any], tmp_path: Path) -> None:
    prepare(tmp_path)
    done = run_cli(SCENES[scene], cwd=tmp_path)
    assert "\x1b" not in done.stdout + done.stderr
    assert "█" not in done.stdout


def commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(click.Context(below, context, name, terminal_width=80))


ALL = {c.command_path: c for c in commands(click.Context(program, info_name="wasmlrun"))}


@pytest.mark.parametrize("path", ALL)
def test_help_fits_a_terminal(path: str) -> None:
    text = usage.text() if path == "wasmlrun" else ALL[path].command.get_help(ALL[path])
    for line in text.splitlines():
        assert len(line) <= 80 or "#PATH" in line, line
