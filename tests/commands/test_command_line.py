"""The quick reading of command lines: what it reads, click reads the same."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasmlrun.commands import classify, run
from wasmlrun.commands.line.clickform import clicked
from wasmlrun.commands.line.reader import Command, Option, Size, read

COMMANDS = (classify.command, run.command)
WORDS = ("x.jpg", "-", "--", "", "0", "1", "512M", "2gib", "0.5", "nhwc", "CPU", "cpu", "f32")
ODD = ("-5", "1e3", "nan", "inf", "٣", " 1", "+1", "1_000", "a=b", "-vv", "-qv", "-k3", "--")


def by_click(command: Command, words: list[str]) -> dict[str, Any] | None:
    try:
        values = clicked(command).make_context("wasmlrun", list(words)).params
    except click.exceptions.ClickException:
        return None
    values.pop("quiet", None)
    return values


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[Command, list[str]]:
    command = draw(st.sampled_from(COMMANDS))
    flags = [f for p in command.parameters if isinstance(p, Option) for f in p.flags]
    word = st.sampled_from((*WORDS, *ODD))
    flag = st.sampled_from(flags)
    piece = st.one_of(
        word.map(lambda w: [w]),
        flag.map(lambda f: [f]),
        st.tuples(flag, word).map(list),
        st.tuples(flag, word).map(lambda pair: [f"{pair[0]}={pair[1]}"]),
    )
    return command, [w for words in draw(st.lists(piece, max_size=6)) for w in words]


@settings(max_examples=1500, deadline=None)
@given(command_lines())
def test_what_is_read_quickly_click_reads_the_same(line: tuple[Command, list[str]]) -> None:
    command, words = line
    values = read(command, words)
    if values is not None:
        assert values == by_click(command, words)


EVERYTHING = [
    *("a.jpg", "--worker", "w.wasm", "--manifest=m.toml", "--model", "net", "-k", "3", "--json"),
    *("--expect", "dog", "--min-score", "0.5", "--dir", "a:/a", "--dir=b:/b", "--arg", "x"),
    *("--input-layout", "nhwc", "--max-pixels", "100", "--device", "CPU", "--precision", "f32"),
    *("--timeout", "2.5", "--fuel", "10", "--max-memory", "512M", "-v", "--", "-b.jpg"),
]


def test_usual_command_lines_are_read_quickly() -> None:
    values = read(classify.command, EVERYTHING)
    assert values is not None
    assert values == by_click(classify.command, EVERYTHING)
    assert values["images"] == ("a.jpg", "-b.jpg")
    assert values["manifest"] == Path("m.toml")
    assert values["dirs"] == ("a:/a", "b:/b")
    assert (values["top"], values["limit_memory"], values["verbosity"]) == (3, 512 << 20, 1)
    quiet = read(run.command, ["w.wasm", "-q", "-v", "x", "--", "--y"])
    assert quiet is not None
    assert (quiet["worker"], quiet["arguments"], quiet["verbosity"]) == ("w.wasm", ("x", "--y"), -1)


@pytest.mark.parametrize(
    "words",
    [
        ["x.jpg", "--help"],
        ["x.jpg", "-h"],
        ["x.jpg", "-vv"],
        ["x.jpg", "-k3"],
        ["x.jpg", "-k", "0"],
        ["x.jpg", "-k", "1", "-k", "2"],
        ["x.jpg", "--nonsense"],
        ["x.jpg", "--model"],
        ["x.jpg", "--model", "--json"],
        ["x.jpg", "--json=1"],
        ["x.jpg", "--device", "cpu"],
        ["x.jpg", "--timeout", "0"],
        ["x.jpg", "--max-memory", "much"],
    ],
)
def test_whatever_needs_a_word_is_left_to_click(words: list[str]) -> None:
    assert read(classify.command, words) is None


def test_a_file_that_cannot_be_read_is_told_by_whoever_reads_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # root may read everything
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    path = tmp_path / "m.toml"
    path.touch()
    words = ["x.jpg", "--manifest", str(path)]
    assert read(classify.command, words) == by_click(classify.command, words)


@pytest.mark.parametrize(
    ("word", "size"),
    [("1", 1), ("512M", 512 << 20), ("2g", 2 << 30), ("1KiB", 1024), ("3B", 3), ("8gb", 8 << 30)],
)
def test_a_size_has_a_unit_or_none(word: str, size: int) -> None:
    assert Size(1 << 53).read(word) == size


@pytest.mark.parametrize(
    "word", ["0", "", "M", "1T", "-1", "1.5M", "1 M", "9" * 30, "5\N{KELVIN SIGN}", "٣"]
)
def test_what_is_no_size(word: str) -> None:
    with pytest.raises(ValueError, match="is no size: write 1000000, 512M or 2G"):
        Size(1 << 53).read(word)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_taught_to_complete_command_lines(shell: str) -> None:
    # the line that the README gives: eval "$(_WASMLRUN_COMPLETE=bash_source wasmlrun)"
    script = _complete(f"{shell}_source").stdout
    assert "_WASMLRUN_COMPLETE=" in script
    assert "complet" in script


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("wasmlrun cl", {"plain,classify"}),
        ("wasmlrun classify --dev", {"plain,--device"}),
        ("wasmlrun classify x.jpg --precision b", {"plain,bf16"}),
        ("wasmlrun models pu", {"plain,pull"}),
    ],
)
def test_command_lines_are_completed(words: str, found: set[str]) -> None:
    place = str(len(words.split()) - 1)
    done = _complete("bash_complete", COMP_WORDS=words, COMP_CWORD=place)
    assert set(done.stdout.split()) == found


def _complete(what: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wasmlrun"],
        capture_output=True,
        text=True,
        env={**os.environ, **variables, "_WASMLRUN_COMPLETE": what},
        check=True,
    )
