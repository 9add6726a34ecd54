"""Man pages and shell completions: what `docs/manual.py` makes, and that a wheel has it."""

from __future__ import annotations

import os
import re
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from kit.needs import needs

from wasmlrun.commands.line.clickform import wasmlrun as program
from wasmlrun.support.errors import EXIT_INTERRUPTED, EXIT_TERMINATED, WasmlrunError
from wasmlrun.support.settings import SETTINGS

ROOT = Path(__file__).parents[1]
BUILD = "import hatchling.build, sys; hatchling.build.build_wheel(sys.argv[1])"
FILES: dict[str, str] = runpy.run_path(str(ROOT / "docs" / "manual.py"))["files"]()


def commands(context: click.Context) -> Iterator[click.Context]:
    yield context
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from commands(click.Context(below, info_name=name, parent=context))


CONTEXTS = {c.command_path: c for c in commands(click.Context(program, info_name="wasmlrun"))}


@pytest.mark.parametrize("path", CONTEXTS)
def test_every_command_has_a_page_with_all_its_options(path: str) -> None:
    page = FILES[f"man/man1/{path.replace(' ', '-')}.1"]
    titles = re.findall(r"^\.SH (.*)$", page, re.MULTILINE)
    assert titles[:3] == ["NAME", "SYNOPSIS", "DESCRIPTION"]
    said = page.replace("\\-", "-")
    for parameter in CONTEXTS[path].command.params:
        if isinstance(parameter, click.Option):
            assert all(flag in said for flag in parameter.opts)


def test_there_are_no_others() -> None:
    pages = {name for name in FILES if name.startswith("man/")}
    assert pages == {f"man/man1/{path.replace(' ', '-')}.1" for path in CONTEXTS}


def test_the_first_page_has_exit_codes_and_variables() -> None:
    page = FILES["man/man1/wasmlrun.1"]
    codes = {kind.exit_code for kind in WasmlrunError.__subclasses__()}
    for code in {*codes, EXIT_INTERRUPTED, EXIT_TERMINATED}:
        assert re.search(rf"^ *{code}  ", page, re.MULTILINE)
    for setting in SETTINGS.values():
        assert setting.variable in page


def test_roff_takes_no_word_for_a_request() -> None:
    known = {"TH", "SH", "PP", "TP", "nf", "fi", "B"}
    for name, page in FILES.items():
        if name.startswith("man/"):
            asked = set(re.findall(r"^[.'](\S*)", page, re.MULTILINE))
            assert asked <= known, name


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such shell")
def test_bash_asks_the_program(tmp_path: Path) -> None:
    script = tmp_path / "wasmlrun"
    script.write_text(FILES["bash-completion/completions/wasmlrun"])
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wasmlrun "$@"\n')
    program.chmod(0o755)
    asked = f"""
source {script}
COMP_WORDS=(wasmlrun doc) COMP_CWORD=1
_wasmlrun_completion {program}
echo "${{COMPREPLY[*]}}"
"""
    done = subprocess.run(
        ["bash", "-c", asked],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.stdout.split() == ["doctor"], done.stderr


def test_zsh_and_fish_have_theirs() -> None:
    assert FILES["zsh/site-functions/_wasmlrun"].startswith("#compdef wasmlrun\n")
    fish = FILES["fish/vendor_completions.d/wasmlrun.fish"]
    assert "complete --no-files --command wasmlrun" in fish
    assert all("_WASMLRUN_COMPLETE" in FILES[name] for name in FILES if "man" not in name)


def test_the_wheel_has_them(tmp_path: Path) -> None:
    needs("hatchling", "hatchling")
    done = subprocess.run(
        [sys.executable, "-c", BUILD, tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = {
            name.partition(".data/data/share/")[2]: archive.read(name).decode()
            for name in archive.namelist()
            if ".data/data/share/" in name
        }
    assert found == FILES
