"""The README shows what the program prints, and names only what there is."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest

from wasmlrun.commands.line.clickform import wasmlrun
from wasmlrun.support.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    EXIT_USAGE,
    WasmlrunError,
)

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_first_example_prints_what_the_readme_shows(own_home: dict[str, str]) -> None:
    block = re.search(r"```console\n\$ wasmlrun (.*)\n((?:.*\n)*?)```", README)
    assert block is not None
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wasmlrun", *shlex.split(block[1])],
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        cwd=ROOT,
        env={**os.environ, **own_home, "COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"},
    ) as process:
        os.close(terminal)
        printed = b""
        try:
            while data := os.read(screen, 4096):
                printed += data
        except OSError:  # Linux says so that the other side was closed
            pass
        assert process.wait() == 0
    os.close(screen)
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed.decode())
    assert [line.rstrip() for line in text.splitlines()] == block[2].splitlines()


def examples() -> list[str]:
    """The command lines in the README: indented, after a prompt, or in a shell block."""
    text = README.replace("\\\n", " ")
    found = re.findall(r"^(?:    |\$ )(wasmlrun [^#\n]*)", text, re.MULTILINE)
    assert len(found) > 15
    return [line.strip() for line in found if "…" not in line]


@pytest.mark.parametrize("line", examples())
def test_every_command_and_flag_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line.replace("|", " "))[1:]
    command: click.Command = wasmlrun
    while isinstance(command, click.Group) and words:
        name = words.pop(0)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{name} is no command"
        command = found
    flags = {flag for parameter in command.params for flag in parameter.opts}
    for word in words:
        if word == "--":
            break
        if word.startswith("-") and word != "-":
            assert word in flags, f"{word} is no option of {command.name}"


def test_every_exit_code_is_documented() -> None:
    documented = {
        int(number)
        for cell in re.findall(r"^\| ([\d, ]+) \|", README, re.MULTILINE)
        for number in cell.split(",")
    }
    kinds = {kind.exit_code for kind in WasmlrunError.__subclasses__()}
    assert kinds | {0, 1, EXIT_USAGE, EXIT_BUG, EXIT_INTERRUPTED, EXIT_TERMINATED} == documented


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()


def test_the_readme_counts_the_ways_out_as_they_are(tmp_path: Path) -> None:
    from wasmlrun.diagnose.escapes import escapes

    # and one for the files, looked at afterwards
    assert f" {len(list(escapes(tmp_path))) + 1} escapes that must fail" in README


def test_the_readme_shows_the_keys_of_json_as_they_are() -> None:
    import json

    from wasmlrun.pipeline.result import ImageResult
    from wasmlrun.report.views.images import record
    from wasmlrun.vision.labels import Prediction

    block = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert block is not None
    shown = json.loads(block[1].replace(", …]", "]").partition("}}\n")[0] + "}}")
    made = record(ImageResult("i", "w", "m", [Prediction(0, "l", 1.0)], dict(shown["timings_ms"])))
    assert list(shown) == ["schema", *made]
    assert list(shown["predictions"][0]) == list(made["predictions"][0])
