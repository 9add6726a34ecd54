"""What people type at first, and what they are told: a test for each corner that was sharp."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from kit.core_guests import EXIT_7
from kit.wasi_guests import opening

from wasmlrun.commands import COMMANDS
from wasmlrun.commands.line.clickform import wasmlrun as group
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.toolkit.interpreters import RUNTIMES

CLI = Callable[..., Any]
SAMPLES = Path(__file__).parents[2] / "samples"


def prepared(language: str, outside: dict[str, str]) -> dict[str, str]:
    """Variables with which the prepared interpreter of a language is found, or a skip."""
    share = Path(outside.get("XDG_DATA_HOME") or Path(outside["HOME"]) / ".local" / "share")
    data = {"WASMLRUN_DATA_DIR": str(share / "wasmlrun")}
    command = [sys.executable, "-m", "wasmlrun", "runtimes"]

    def state() -> str:
        done = subprocess.run(
            [*command, "list"],
            env={**os.environ, **data},
            capture_output=True,
            text=True,
            check=True,
        )
        states = {line.split("\t")[0]: line.split("\t")[2] for line in done.stdout.splitlines()}
        return states[language]

    if state() != "ready":
        if not os.environ.get("CI"):
            pytest.skip(f"no {RUNTIMES[language].what}: wasmlrun runtimes install {language}")
        subprocess.run([*command, "install", language], env={**os.environ, **data}, check=True)
        assert state() == "ready"
    return data


# --- scripts ----------------------------------------------------------------------------------


def test_a_script_needs_no_manifest(run_cli: CLI, tmp_path: Path, outside: dict[str, str]) -> None:
    data = prepared("javascript", outside)
    script, dog = tmp_path / "mine.js", SAMPLES / "dog.jpg"
    shutil.copy(SAMPLES / "workers" / "javascript" / "classify.js", script)
    words = ["classify", dog, "--worker", script, "-k", "1"]
    for more in ([], ["--model", "mobilenet-cifar10"]):
        done = run_cli([*words, *more], env=data)
        assert done.code == 0, done.stderr
        assert "dog" in done.stdout.split("\t")[1] or not more


def test_check_takes_a_model(run_cli: CLI, make_worker: CLI, tmp_path: Path) -> None:
    worker = tmp_path / "mine.wasm"
    shutil.copy(SAMPLES / "workers" / "c" / "classify.wasm", worker)
    done = run_cli(["check", worker])
    assert done.code == 3
    assert "has no manifest" in done.stderr
    done = run_cli(["check", worker, "--model", "mobilenet-cifar10"])
    assert done.code == 0, done.stdout


# --- what is no worker ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "what", "hint"),
    [
        ("dog.jpg", b"\xff\xd8\xff\xe0", "; it is a picture", "wasmlrun classify {path}"),
        (
            "net.onnx",
            b"\x08\x07\x12\x00",
            "; it is a model",
            "a model is named with --model {path}",
        ),
        ("m.wat", b"(module)", "; it is WebAssembly text", "wat2wasm {path}"),
        ("empty.wasm", b"", "; it is empty", "build it again"),
        ("notes.txt", b"hello", "", "give a .wasm file, a script"),
    ],
)
def test_a_file_that_is_no_worker(
    invoke: CLI, red_image: Path, tmp_path: Path, name: str, data: bytes, what: str, hint: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    for more in ((), ("--model", "mobilenet-cifar10")):
        done = invoke("classify", red_image, "--worker", path, *more)
        assert done.code == 3
        assert f"error: worker {path} is not a WebAssembly module{what}\n" in done.stderr
        assert "hint: " in done.stderr
        assert hint.format(path=path) in done.stderr
    done = invoke("run", path)
    assert done.code == 3
    assert f"is not a WebAssembly module{what}\n" in done.stderr


def test_webassembly_of_another_version(invoke: CLI, red_image: Path, tmp_path: Path) -> None:
    path = tmp_path / "new.wasm"
    path.write_bytes(b"\0asm\x02\0\0\0")
    done = invoke("classify", red_image, "--worker", path)
    assert done.code == 3
    assert "is WebAssembly of a version that is not known here" in done.stderr


# --- words that are no commands ----------------------------------------------------------------


@pytest.mark.parametrize("name", ["cache", "runtimes", "models"])
def test_a_group_alone_shows_its_help(invoke: CLI, name: str) -> None:
    done = invoke(name)
    assert (done.code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"Usage: wasmlrun {name} ")
    assert "error:" not in done.stderr


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("pull", "wasmlrun models pull"),
        ("list", "wasmlrun models list"),
        ("version", "wasmlrun --version"),
        ("install", "wasmlrun runtimes install"),
        ("clasify", "classify"),
    ],
)
def test_words_that_are_no_commands(invoke: CLI, word: str, meant: str) -> None:
    done = invoke(word)
    assert done.code == 2
    assert f"No such command {word!r}. Did you mean {meant!r}?" in done.stderr


@pytest.mark.parametrize(
    ("score", "hint"),
    [("93", "hint: write --min-score 0.93\n"), ("1.5", "hint: write --min-score")],
)
def test_a_score_that_nothing_reaches(invoke: CLI, red_image: Path, score: str, hint: str) -> None:
    done = invoke("classify", red_image, f"--min-score={score}")
    assert (done.code, done.stdout) == (2, "")
    assert f"error: --min-score {score}: scores are from 0 to 1" in done.stderr
    assert hint in done.stderr


# --- loudness ---------------------------------------------------------------------------------


def all_commands() -> dict[str, click.Command]:
    """Every command that can be run, by its words."""
    context = click.Context(group)
    found: dict[str, click.Command] = {}
    for name in COMMANDS:
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{name} {below}": one for below, one in command.commands.items()}
        else:
            found[name] = command
    return found


@pytest.mark.parametrize("words", all_commands())
def test_every_command_takes_quiet_and_verbose(words: str) -> None:
    flags = {flag for p in all_commands()[words].params for flag in p.opts}
    assert {"-q", "--quiet", "-v", "--verbose"} <= flags


@pytest.mark.parametrize("words", ["cache clear", "cache prune"])
def test_quiet_says_nothing_and_otherwise_sizes_are_readable(invoke: CLI, words: str) -> None:
    assert invoke(*words.split(), "-q").stderr == ""
    assert invoke(*words.split()).stderr == "freed 0 bytes\n"


# --- files that are not there -------------------------------------------------------------------

MISSING = [
    ("classify", "none.jpg"),
    ("classify", "{image}", "--worker", "none.wasm"),
    ("classify", "{image}", "--worker", "none.py"),
    ("classify", "{image}", "--manifest", "none.toml"),
    ("classify", "{image}", "--model", "none.onnx"),
    ("classify", "{image}", "--labels", "none.txt"),
    ("classify", "{image}", "--dir", "none:/m"),
    ("run", "none.wasm"),
    ("run", "none.py"),
    ("run", "{worker}", "--dir", "none:/m"),
    ("run", "{worker}", "--model", "none.onnx"),
    ("run", "{worker}", "--request", "GET", "/", "--body", "none"),
    ("inspect", "none.wasm"),
    ("bench", "none.jpg"),
    ("check", "none.wasm"),
    ("build", "none"),
    ("pack", "none.tflite"),
    ("models", "info", "./none.onnx"),
    ("models", "add", "mine", "--from", "none.onnx"),
    ("models", "lock", "none.toml"),
]


@pytest.mark.parametrize("words", MISSING, ids=[" ".join(words) for words in MISSING])
def test_a_missing_file_is_exit_3_everywhere(
    run_cli: CLI, make_worker: CLI, red_image: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    worker = make_worker(tmp_path, EXIT_7, 'name = "w"\nversion = "1"\n')
    given = [word.format(image=red_image, worker=worker) for word in words]
    done = run_cli(given, cwd=tmp_path)
    assert done.code == 3, done.stderr
    assert "none" in done.stderr.splitlines()[0]


# --- hints --------------------------------------------------------------------------------------


def test_writable_is_hinted_at_only_where_a_write_was_refused(
    run_cli: CLI, make_worker: CLI, tmp_path: Path
) -> None:
    failing = make_worker(tmp_path, EXIT_7)
    done = run_cli(["run", failing, "--dir", f"{tmp_path}:/data", "-v"])
    assert done.code == 7
    assert "--writable" not in done.stderr
    creating = make_worker(tmp_path, opening("new", create=True), name="creating")
    assert run_cli(["run", creating, "--dir", f"{tmp_path}:/data"]).code != 0


def test_add_and_remove_speak_of_themselves(invoke: CLI, tmp_path: Path, colours: Path) -> None:
    environ = tmp_path / "data"
    os.environ["WASMLRUN_DATA_DIR"] = str(environ)
    try:
        done = invoke("models", "remove", "mobilenet-cifar10")
        assert done.code == 3
        assert "comes with wasmlrun and cannot be removed" in done.stderr
        done = invoke("models", "remove", "insects")
        assert "is not on this machine, so there is nothing to remove" in done.stderr
        done = invoke("models", "add", "insects", "--from", colours)
        assert (done.code, "hint: take another: wasmlrun models add my-insects" in done.stderr) == (
            2,
            True,
        )
        assert invoke("models", "add", "mine", "--from", colours).code == 0
        done = invoke("models", "add", "mine", "--from", colours)
        assert "take another name, or first: wasmlrun models remove mine" in done.stderr
        done = invoke("models", "remove", "min")
        assert "did you mean mine" in done.stderr
        done = invoke("models", "add", "other", "--from", tmp_path / "none.onnx")
        assert done.code == 3
        assert "--model" not in done.stderr
    finally:
        del os.environ["WASMLRUN_DATA_DIR"]


# --- new and inspect -----------------------------------------------------------------------------


def test_a_new_project_is_clean(invoke: CLI, tmp_path: Path, monkeypatch: Any) -> None:
    from wasmlrun.toolkit.languages import LANGUAGES

    template = tmp_path / "template"
    shutil.copytree(SAMPLES / "workers" / "python", template)
    (template / "__pycache__").mkdir()
    (template / "__pycache__" / "x.pyc").write_bytes(b"x")
    monkeypatch.setattr(type(LANGUAGES["python"]), "template", property(lambda _: template))
    assert invoke("new", tmp_path / "mine", "--lang", "python").code == 0
    assert not (tmp_path / "mine" / "__pycache__").exists()
    assert "__pycache__/" in (tmp_path / "mine" / ".gitignore").read_text().splitlines()


def test_new_asks_for_a_language_on_a_terminal(
    invoke: CLI, own_home: dict[str, str], tmp_path: Path
) -> None:
    done = invoke("new", tmp_path / "none")
    assert done.code == 2
    assert "error: which language? --lang is missing\nhint: write --lang c or cpp" in done.stderr
    assert not (tmp_path / "none").exists()
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wasmlrun", "new", "mine"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env={**os.environ, **own_home},
    ) as process:
        os.close(terminal)
        os.write(screen, b"8\n")
        shown = b""
        try:
            while data := os.read(screen, 4096):
                shown += data
        except OSError:  # the other side was closed
            pass
        assert process.wait() == 0, shown
    os.close(screen)
    assert b" 1  C" in shown
    assert (tmp_path / "mine" / "classify.py").is_file() or list((tmp_path / "mine").glob("*.*"))


def test_inspect_writes_a_manifest_that_works(run_cli: CLI, tmp_path: Path) -> None:
    worker = tmp_path / "mine.wasm"
    shutil.copy(SAMPLES / "workers" / "c" / "classify.wasm", worker)
    # as the shell does it: the file is there, and empty, before inspect starts
    manifest = tmp_path / "mine.toml"
    with manifest.open("w") as out:
        done = subprocess.run(
            [sys.executable, "-m", "wasmlrun", "inspect", worker, "--manifest"],
            stdout=out,
            stderr=subprocess.PIPE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    assert read_manifest(manifest).name == "mine"
    done = run_cli(["classify", SAMPLES / "dog.jpg", "--worker", worker, "-k", "1"])
    assert (done.code, done.stdout.split("\t")[1]) == (0, "dog"), done.stderr


# --- what a script ends with ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("language", "name", "text", "code", "said"),
    [
        ("python", "e.py", "import sys\nsys.exit(7)", 7, ""),
        ("python", "e.py", "import sys\nsys.exit()", 0, ""),
        ("python", "e.py", "import sys\nsys.exit('bad')", 1, "bad\n"),
        ("ruby", "e.rb", "exit 0", 0, ""),
        ("ruby", "e.rb", "exit 9", 9, ""),
        ("ruby", "e.rb", "exit false", 1, ""),
    ],
)
def test_a_scripts_exit_code_passes_through(
    run_cli: CLI,
    tmp_path: Path,
    outside: dict[str, str],
    language: str,
    name: str,
    text: str,
    code: int,
    said: str,
) -> None:
    home = prepared(language, outside)
    (tmp_path / name).write_text(text)
    done = run_cli(["run", tmp_path / name], env=home)
    assert (done.code, done.stdout, done.stderr) == (code, "", said)


def test_a_script_is_called_by_its_own_name(
    run_cli: CLI, red_image: Path, tmp_path: Path, outside: dict[str, str]
) -> None:
    home = prepared("python", outside)
    script = tmp_path / "mine.py"
    script.write_text("raise ValueError('no')")
    done = run_cli(["classify", red_image, "--worker", script], env=home)
    assert done.code == 4
    assert "error: worker mine.py exited with code 1" in done.stderr
    script.write_text("import sys\nprint(sys.argv)")
    assert run_cli(["run", script, "--", "a"], env=home).stdout == "['mine.py', 'a']\n"


# --- what the engine says ------------------------------------------------------------------------


def test_the_engines_sentences_are_ones() -> None:
    from wasmlrun.engines.openvino.capi import reason

    assert (
        reason(
            "Exception from src/x.cpp:1:\nFrontEnd API failed with OpConversionFailure:\n"
            "No translator found for Convolution2DTransposeBias node.\n"
        )
        == "it has no operation Convolution2DTransposeBias"
    )
    assert (
        reason(
            'Unable to read the model: the file Please check that model format: ".onnx" is '
            "supported and the model is correct. Available frontends: jax paddle onnx "
        )
        == "no format that OpenVINO reads"
    )
    assert reason("FrontEnd API failed with GeneralFailure:") != ""


def test_a_damaged_model_is_told_in_a_sentence(run_cli: CLI, tmp_path: Path) -> None:
    path = tmp_path / "junk.onnx"
    path.write_bytes(b"\x08\x07junkjunkjunk")
    done = run_cli(["models", "info", path])
    assert done.code == 3
    for word in ("frontend", "FrontEnd", "Please", ":;"):
        assert word not in done.stderr
