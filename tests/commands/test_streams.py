"""Streams that are closed, full or terminals, names that are no text, odd variables: no bug."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from kit.core_guests import printing, program
from kit.outcome import Outcome

from wasmlrun.report.renderers.json_lines import safe

COMMAND = (sys.executable, "-m", "wasmlrun")
NO_BUG = "a bug in wasmlrun"


def shell(redirect: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """A command with its streams redirected as a shell does."""
    script = f'"$@" {redirect}'
    return subprocess.run(
        ["sh", "-c", script, "sh", *COMMAND, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"])
@pytest.mark.parametrize(
    "words",
    [("classify", "{red}", "--model", "{model}"), ("inspect", "{model}"), ("--help",)],
    ids=lambda words: words[0],
)
def test_an_answer_that_cannot_be_written_is_told(
    redirect: str, words: Sequence[str], colours: Path, red_image: Path
) -> None:
    done = shell(redirect, *(word.format(red=red_image, model=colours) for word in words))
    assert done.returncode == 74
    assert done.stderr.count("error: ") == 1
    assert "error: the answer cannot be written: " in done.stderr


@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-"])
def test_messages_that_nobody_hears_change_nothing(
    redirect: str, colours: Path, red_image: Path
) -> None:
    done = shell(redirect, "classify", red_image, "--model", colours, "-k", "1", "-v")
    assert (done.returncode, done.stdout.count("\n")) == (0, 1)
    assert shell(redirect, "classify", "absent.jpg").returncode == 3


def test_a_closed_stdin_is_empty() -> None:
    done = shell("<&-", "classify", "-")
    assert (done.returncode, "standard input is empty" in done.stderr) == (3, True)


def test_no_file_gets_the_number_of_a_stream_that_was_closed(
    colours: Path, red_image: Path
) -> None:
    done = shell("<&- >&- 2>&-", "classify", red_image, "--model", colours)
    assert done.returncode == 74
    assert colours.read_bytes().startswith(b"<?xml")


# --- names that are no text -----------------------------------------------------------------------


def test_a_name_that_is_no_utf8_stops_no_batch(
    tmp_path: Path, colours: Path, red_image: Path
) -> None:
    odd = os.fsencode(tmp_path) + b"/caf\xe9\n\xe2\x80\xae.png"
    with open(odd, "wb") as file:
        file.write(red_image.read_bytes())
    missing = os.fsencode(tmp_path) + b"/\xff\nerror: forged"
    words: list[str | bytes | Path] = [
        *COMMAND,
        "classify",
        odd,
        missing,
        red_image,
        "--model",
        colours,
        "-k",
        "1",
    ]
    plain = subprocess.run(words, capture_output=True, check=False)
    assert plain.returncode == 3
    assert len(plain.stdout.decode().splitlines()) == 2
    assert plain.stderr.count(b"\nerror:") == 0
    as_json = subprocess.run([*words, "--json"], capture_output=True, check=False)
    lines = as_json.stdout.decode().splitlines()
    assert len(lines) == 3, "a line for each picture and no other"
    assert all(line.isprintable() for line in lines)
    found = [json.loads(line)["image"] for line in lines]
    assert found[0].endswith("/caf\\xe9\n\u202e.png")
    assert found[1].endswith("/\\xff\nerror: forged")
    assert NO_BUG.encode() not in plain.stderr + as_json.stderr


@pytest.mark.parametrize(
    ("value", "back"),
    [
        ("plain é 猫 😀", None),
        ("\u202e\u2028\u2029\x85\x7f\U000e0001", None),
        ("\udce9", "\\xe9"),
        ("\ud800", "\ufffd"),
        ("\\udce9", None),
    ],
)
def test_json_is_one_line_and_valid(value: str, back: str | None) -> None:
    text = safe(json.dumps({"label": value}, ensure_ascii=False))
    assert text.isprintable()
    text.encode()
    assert json.loads(text)["label"] == (value if back is None else back)


def test_a_workers_label_that_is_no_text(
    tmp_path: Path, red_image: Path, make_worker: Callable[..., Path]
) -> None:
    body = r'{"data":"[{\"label\":\"a\\ud800b\",\"score\":1}]","status":200}'
    worker = make_worker(tmp_path, printing(body), 'version = "1"\n')
    words: list[str | Path] = [*COMMAND, "classify", red_image, "--worker", worker]
    for flags in ([], ["--json"]):
        done = subprocess.run([*words, *flags], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "a\ufffdb" in done.stdout.decode()


def test_arguments_that_are_no_text_are_refused(
    tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    worker = make_worker(tmp_path, printing("ran"))
    for flag, value in (("--", b"\xff"), ("--env", b"A=\xff"), ("--dir", b"/tmp:\xff")):
        words: list[str | bytes | Path] = [*COMMAND, "run", worker, flag, value]
        done = subprocess.run(words, capture_output=True, check=False)
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"is not UTF-8" in done.stderr


# --- terminals --------------------------------------------------------------------------------


def on_a_terminal(*words: str | Path, only: int | None = None) -> tuple[int, str, str]:
    """Exit code, what the terminal shows, and what the other stream got; `only` is a terminal."""
    ours, theirs = pty.openpty()
    streams = {1: theirs, 2: theirs} if only is None else {1: -1, 2: -1, only: theirs}
    process = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=streams[1] if streams[1] >= 0 else subprocess.PIPE,
        stderr=streams[2] if streams[2] >= 0 else subprocess.PIPE,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            data = os.read(ours, 4096)
        except OSError:
            break
        if not data:
            break
        shown += data
    out, err = process.communicate()
    os.close(ours)
    other = (out or b"") + (err or b"")
    return process.returncode, shown.decode().replace("\r\n", "\n"), other.decode()


STEERING = "\x1b[2Jhello\x07\u202e\n"


@pytest.mark.parametrize("descriptor", [1, 2])
def test_a_terminal_is_spared_what_steers_it(
    descriptor: int, tmp_path: Path, make_worker: Callable[..., Path]
) -> None:
    worker = make_worker(tmp_path, printing(STEERING, descriptor=descriptor))
    shown = on_a_terminal("run", worker, only=descriptor)
    assert shown == (0, "\ufffd[2Jhello\ufffd\ufffd\n", "")
    assert on_a_terminal("run", worker, "--raw", only=descriptor)[1] == STEERING
    # not a terminal: byte for byte
    assert on_a_terminal("run", worker, only=3 - descriptor) == (0, "", STEERING)


def test_ours_begin_with_a_line_after_a_guest_that_ended_in_one(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    for then, options in (("unreachable", ()), ("(loop $a (br $a))", ("--timeout", "4"))):
        worker = make_worker(tmp_path, printing("no end", descriptor=2, then=then))
        outcome = run_cli(["run", worker, *options])
        assert outcome.code in (4, 5)
        assert re.match(r"no end\nerror: ", outcome.stderr)
    assert run_cli(["run", make_worker(tmp_path, printing("no end", descriptor=2))]).stderr == (
        "no end"
    )


def test_classify_marks_each_line_of_a_worker(
    tmp_path: Path,
    red_image: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
) -> None:
    text = printing("error: forged\nhint: no", descriptor=2, then="unreachable")
    outcome = run_cli(
        ["classify", red_image, "--worker", make_worker(tmp_path, text, 'version = "1"\n')]
    )
    assert outcome.code == 4
    lines = outcome.stderr.splitlines()
    assert lines[:2] == ["worker: error: forged", "worker: hint: no"]
    assert lines[2].startswith("error: worker worker.wasm trapped")


def test_the_output_limit_counts_what_is_shown(
    tmp_path: Path,
    red_image: Path,
    make_worker: Callable[..., Path],
    run_cli: Callable[..., Outcome],
) -> None:
    """A byte that is no text becomes three, an empty line nine."""
    for content in (b"\x01", b"\n"):
        text = printing(content * 1000, descriptor=2, then="(call $proc_exit (i32.const 1))")
        worker = make_worker(tmp_path, text, 'version = "1"\n')
        words = ["classify", red_image, "--worker", worker, "--max-output"]
        assert run_cli([*words, "2000"]).code == 5
        assert run_cli([*words, "9000"]).code == 4


# --- variables and folders that are odd -----------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WASMLRUN_STARTED_NS", "soon"),
        ("WASMLRUN_STARTED_NS", "9" * 5000),
        ("WASMLRUN_STARTED_NS", "-1"),
        ("WASMLRUN_CACHE_DIR", "/dev/null"),
        ("WASMLRUN_CACHE_DIR", "/proc/1/none"),
        ("WASMLRUN_CACHE_DIR", "x" * 5000),
        ("WASMLRUN_DATA_DIR", "/dev/null"),
        ("WASMLRUN_DATA_DIR", "x" * 5000),
        ("TMPDIR", "/proc"),
        ("TMPDIR", "/nowhere"),
        ("HOME", "/nowhere"),
    ],
)
def test_odd_variables_stop_nothing(
    name: str,
    value: str,
    colours: Path,
    red_image: Path,
    tmp_path: Path,
    run_cli: Callable[..., Outcome],
) -> None:
    words = ["classify", red_image, "--model", colours, "-k", "1"]
    outcome = run_cli(words, env={name: value}, cwd=tmp_path)
    assert (outcome.code, outcome.stdout.count("\n")) == (0, 1), outcome.stderr
    listed = run_cli(["models", "list"], env={name: value}, cwd=tmp_path)
    assert NO_BUG not in listed.stderr


# opens its own folder until there are no more descriptors, then loads a model
GREEDY = program(
    """(loop $more
      (br_if $more (i32.eqz (call $path_open (i32.const 3) (i32.const 0) (i32.const 64)
        (i32.const 1) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 128)))))
    (call $proc_exit (call $load_by_name (i32.const 80) (i32.const 1) (i32.const 256)))""",
    before='(import "wasi_snapshot_preview1" "path_open" (func $path_open'
    " (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"
    '(import "wasi_ephemeral_nn" "load_by_name" (func $load_by_name (param i32 i32 i32)'
    " (result i32)))",
    data={64: b".", 80: b"m"},
)


def test_a_guest_that_takes_all_descriptors(
    tmp_path: Path, colours: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    worker = make_worker(tmp_path, GREEDY)
    words = ["run", worker, "--dir", f"{tmp_path}:.", "--model", f"m={colours}"]
    outcome = run_cli([*words, "--no-cache"])
    assert outcome.code not in (70, 1)
    assert NO_BUG not in outcome.stderr
