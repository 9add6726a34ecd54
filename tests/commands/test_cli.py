"""The command line: each bad one with its exact sentence and exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import EXIT_7, TRAP, printing
from kit.wasi_guests import BADF, NN_GUEST, NOTCAPABLE, PERM, opening, strings

import wasmlrun
from wasmlrun.commands import COMMANDS

CLI = Callable[..., Any]

# --- bad command lines ----------------------------------------------------------------------

CLASSIFY = ("classify", "x.jpg")
SEE = "hint: see wasmlrun {} --help\n"

BAD: list[tuple[tuple[str, ...], str, str]] = [
    (("clasify",), "No such command 'clasify'", ""),
    (("--nonsense",), "No such option '--nonsense'", ""),
    (("classify",), "Missing argument 'IMAGE...'", "classify"),
    ((*CLASSIFY, "--colour"), "No such option '--colour'", "classify"),
    ((*CLASSIFY, "--model"), "Option '--model' requires an argument", "classify"),
    (
        (*CLASSIFY, "-k", "0"),
        "Invalid value for '-k' / '--top': 0 is not in the range x>=1",
        "classify",
    ),
    (
        (*CLASSIFY, "-k", "many"),
        "Invalid value for '-k' / '--top': 'many' is not a valid integer range",
        "classify",
    ),
    (
        (*CLASSIFY, "--min-score", "high"),
        "Invalid value for '--min-score': 'high' is not a valid float",
        "classify",
    ),
    (
        (*CLASSIFY, "--device", "TPU"),
        "Invalid value for '--device': 'TPU' is not one of 'cpu', 'gpu', 'npu', 'auto'",
        "classify",
    ),
    (
        (*CLASSIFY, "--precision", "int4"),
        "Invalid value for '--precision': 'int4' is not one of 'f32', 'bf16', 'f16'",
        "classify",
    ),
    (
        (*CLASSIFY, "--input-layout", "hwc"),
        "Invalid value for '--input-layout': 'hwc' is not one of 'nhwc', 'nchw'",
        "classify",
    ),
    (
        (*CLASSIFY, "--timeout", "0"),
        "Invalid value for '--timeout': 0.0 is not in the range 0<x<=1000000000.0",
        "classify",
    ),
    (("run",), "Missing argument 'WORKER'", "run"),
    (("run", "w.wasm", "--request", "GET"), "Option '--request' requires 2 arguments", "run"),
]


@pytest.mark.parametrize(("args", "message", "command"), BAD, ids=[" ".join(b[0]) for b in BAD])
def test_a_bad_command_line_is_exit_2_and_says_what_is_wrong(
    invoke: CLI, args: tuple[str, ...], message: str, command: str
) -> None:
    outcome = invoke(*args)
    assert (outcome.code, outcome.stdout) == (2, "")
    first, hint = outcome.stderr.splitlines()
    assert first.startswith(f"error: {message}")
    assert hint == f"hint: see wasmlrun {command} --help".replace("  ", " ")


def test_a_misspelt_option_or_command_is_told_the_nearest(invoke: CLI) -> None:
    assert "classify" in invoke("clasify").stderr.split("'clasify'")[1]
    assert "--labels" in invoke(*CLASSIFY, "--label", "x").stderr


def test_a_bad_command_line_is_json_when_json_was_asked_for(invoke: CLI) -> None:
    import json

    outcome = invoke(*CLASSIFY, "--json", "-k", "0")
    entry = json.loads(outcome.stdout)
    assert outcome.code == 2
    assert (entry["schema"], entry["image"], entry["error"]["code"]) == (1, None, "usage")
    assert entry["error"]["message"] in outcome.stderr


def test_words_of_the_program_that_is_run_are_not_ours(invoke: CLI, tmp_path: Path) -> None:
    """What follows -- decides neither the form of the answer nor how much is said."""
    for words in (
        ("run", "w.wasm", "--trace", tmp_path / "none" / "t.json", "--", "--json", "-v"),
        ("run", "w.wasm", "--nonsense", "--", "--json", "-v"),
    ):
        outcome = invoke(*words)
        assert (outcome.code, outcome.stdout) == (2, "")
        assert outcome.stderr.startswith("error: ")


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "none.wasm"),
        ("bench", "none.png"),
        ("check", "none.wasm"),
        ("models", "path", "x"),
    ],
)
def test_every_command_has_one_form_of_failure(invoke: CLI, words: tuple[str, ...]) -> None:
    import json

    outcome = invoke(*words, "--json")
    entry = json.loads(outcome.stdout)
    assert list(entry) == ["schema", "name", "error"]
    assert list(entry["error"]) == ["code", "message", "hint"]
    assert outcome.stderr.startswith(f"error: {entry['error']['message']}\n")
    assert outcome.code in (2, 3)
    assert invoke(*words).stdout == ""


# --- files that the command line names ------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "code", "message", "hint"),
    [
        (["--worker", "none.wasm"], 3, "worker none.wasm does not exist", None),
        (
            ["--worker", "unknown"],
            3,
            "worker unknown does not exist",
            "give a .wasm file, a script, a project's folder, or the name of the bundled worker: "
            "mobilenet",
        ),
        (
            ["--worker", "lonely.wasm"],
            3,
            "worker lonely.wasm has no manifest: lonely.toml does not exist",
            "write one, name one with --manifest, or give the worker a model with --model",
        ),
        (["--manifest", "none.toml"], 3, "manifest none.toml does not exist", None),
        (["--model", "./none.onnx"], 3, "model none.onnx does not exist", None),
        (
            ["--model", "colours.xml", "--labels", "none.txt"],
            3,
            "labels none.txt does not exist",
            None,
        ),
        (
            ["--model", "colours.xml", "--writable", "/tmp"],
            2,
            "--writable /tmp: no folder is mounted there",
            "mounted folders: none",
        ),
        (
            ["--model", "colours.xml", "--device", "GPU", "--strict-device"],
            2,
            "device GPU is not on this machine (found: CPU)",
            "leave out --strict-device to fall back to CPU",
        ),
    ],
)
def test_what_a_command_line_names_must_be_there(
    run_cli: CLI,
    make_worker: CLI,
    red_image: Path,
    tmp_path: Path,
    args: list[str],
    code: int,
    message: str,
    hint: str | None,
) -> None:
    from kit.models_by_hand import write_colours

    write_colours(tmp_path)
    make_worker(tmp_path, EXIT_7, name="lonely")
    outcome = run_cli(["classify", red_image, *args], cwd=tmp_path)
    assert (outcome.code, outcome.stdout) == (code, "")
    first, *rest = outcome.stderr.splitlines()
    assert first == f"error: {message}"
    if hint is not None:
        assert rest == [f"hint: {hint}"]


# --- run ------------------------------------------------------------------------------------


def test_run_passes_streams_and_the_exit_code_through(
    run_cli: CLI, make_worker: CLI, tmp_path: Path
) -> None:
    path = make_worker(tmp_path, printing("to stdout\n", then="(call $proc_exit (i32.const 42))"))
    outcome = run_cli(["run", path])
    assert (outcome.code, outcome.stdout, outcome.stderr) == (42, "to stdout\n", "")


def test_options_stand_before_or_after_the_worker_and_the_rest_is_the_guests(
    run_cli: CLI, make_worker: CLI, tmp_path: Path
) -> None:
    path = make_worker(tmp_path, strings("args"))
    for args in (["--no-nn", path, "--", "-v", "x"], [path, "--no-nn", "--", "-v", "x"]):
        outcome = run_cli(["run", *args])
        assert outcome.stdout == "worker.wasm\0-v\0x\0"


def test_the_command_line_is_the_grant_without_a_manifest(
    run_cli: CLI, make_worker: CLI, tmp_path: Path
) -> None:
    path = make_worker(tmp_path, strings("environ"))
    outcome = run_cli(["run", path, "--env", "A=1", "--env", "B=x=y"], env={"SECRET": "s"})
    assert outcome.stdout == "A=1\0B=x=y\0"
    creating = make_worker(tmp_path, opening("new", create=True), name="creating")
    mounted = tmp_path / "mounted"
    mounted.mkdir()
    assert run_cli(["run", creating]).code == BADF
    assert run_cli(["run", creating, "--dir", f"{mounted}:/m"]).code in (PERM, NOTCAPABLE)
    assert not (mounted / "new").exists()
    assert run_cli(["run", creating, "--dir", f"{mounted}:/m:rw"]).code == 0
    assert (mounted / "new").exists()


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--dir", "::"], 2, "--dir ::: not of the form HOST:GUEST[:rw]"),
        (["--dir", "nowhere:/m"], 3, "folder {cwd}/nowhere, to be mounted at /m, does not exist"),
        (["--env", "NAME"], 2, "--env NAME: not of the form NAME=VALUE"),
        (["--body", "none"], None, ""),
        (["--request", "GET", "/", "--body", "none"], 3, "--body none: No such file or directory"),
    ],
)
def test_a_bad_grant_is_refused_before_anything_runs(
    run_cli: CLI, make_worker: CLI, tmp_path: Path, args: list[str], code: int | None, message: str
) -> None:
    path = make_worker(tmp_path, printing("it ran"))
    outcome = run_cli(["run", path, *args], cwd=tmp_path)
    if code is None:  # a body without a request is not looked at
        assert outcome.stdout == "it ran"
        return
    assert (outcome.code, outcome.stdout) == (code, "")
    assert outcome.stderr.splitlines()[0] == f"error: {message}".replace("{cwd}", str(tmp_path))


def test_no_nn_takes_wasi_nn_away(run_cli: CLI, make_worker: CLI, tmp_path: Path) -> None:
    path = make_worker(tmp_path, NN_GUEST)
    assert run_cli(["run", path]).code == 0
    outcome = run_cli(["run", path, "--no-nn"])
    assert outcome.code == 3
    assert outcome.stderr == (
        f"error: worker {path} uses WASI-NN (wasi_ephemeral_nn.compute) and the command line "
        "does not allow it\nhint: leave out --no-nn\n"
    )


def test_a_trap_in_run_is_exit_4(run_cli: CLI, make_worker: CLI, tmp_path: Path) -> None:
    outcome = run_cli(["run", make_worker(tmp_path, TRAP)])
    assert outcome.code == 4
    assert outcome.stderr.startswith("error: worker worker.wasm trapped: wasm `unreachable`")


def test_a_request_prints_the_responses_body(
    run_cli: CLI, make_worker: CLI, tmp_path: Path
) -> None:
    path = make_worker(tmp_path, printing('{"data": "aGk=", "base64": true, "status": 200}'))
    outcome = run_cli(["run", path, "--request", "GET", "/x"])
    assert (outcome.code, outcome.stdout) == (0, "hi")


@pytest.mark.parametrize(
    ("answer", "body", "told"),
    [
        ('{"data": "gone", "status": 404}', "gone", "the worker answered with status 404: gone"),
        (
            '{"data": "{\\"error\\": \\"no model\\"}"}',
            '{"error": "no model"}',
            "the worker answered with an error: no model",
        ),
    ],
)
def test_a_response_that_complains_is_printed_and_is_exit_4(
    run_cli: CLI, make_worker: CLI, tmp_path: Path, answer: str, body: str, told: str
) -> None:
    path = make_worker(tmp_path, printing(answer))
    outcome = run_cli(["run", path, "--request", "GET", "/x"])
    assert (outcome.code, outcome.stdout) == (4, body)
    assert f"error: {told}" in outcome.stderr


# --- help and version -----------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_names_every_command_and_exit_code(run_cli: CLI, flag: str) -> None:
    outcome = run_cli([flag])
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith("Usage: wasmlrun [OPTIONS] COMMAND")
    for name in (*COMMANDS, "130 Ctrl-C", "5 a limit was hit"):
        assert name in outcome.stdout


def test_version(run_cli: CLI) -> None:
    outcome = run_cli(["--version"])
    assert (outcome.code, outcome.stdout) == (0, f"wasmlrun {wasmlrun.__version__}\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_every_option_says_what_it_does(
    invoke: CLI, command: str
) -> None:
    outcome = invoke(command, "--help")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"Usage: wasmlrun {command} ")
    import click

    from wasmlrun.commands.line.clickform import wasmlrun as group

    def commands(found: click.Command) -> list[click.Command]:
        below = found.commands.values() if isinstance(found, click.Group) else ()
        return [found, *(c for group in below for c in commands(group))]

    found = group.get_command(click.Context(group), command)
    assert found is not None
    for each in commands(found):
        assert each.help
        for parameter in each.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, parameter.name


HEAVY = ("numpy", "openvino", "wasmtime", "PIL", "rich")


@pytest.mark.parametrize("args", [["--help"], ["-h"], ["--version"], ["classify", "--help"]])
def test_help_and_version_import_nothing_heavy(args: list[str]) -> None:
    # -X importtime lists every module that the process imports, on standard error
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "wasmlrun", *args],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONNOUSERSITE": "1"},
        check=True,
    )
    modules = {line.split("|")[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert "wasmlrun" in modules
    assert not modules & set(HEAVY)
