"""The sample guests of language models, run as a user runs them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.language import language_model
from kit.needs import needs
from kit.outcome import Outcome

SAMPLES = Path(__file__).parents[2] / "samples" / "language"


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory, outside: dict[str, str]) -> Path:
    """The sample in C."""
    needs("ziglang", "ziglang")
    made = tmp_path_factory.mktemp("talk") / "talk.wasm"
    zig = [sys.executable, "-m", "ziglang", "cc", "--target=wasm32-wasi", "-Os", "-s", "-Wall"]
    zig += ["-Werror", "-Wl,-z,stack-size=65536", "-o", str(made), str(SAMPLES / "c" / "talk.c")]
    subprocess.run(zig, check=True, env={**os.environ, **outside})
    return made


@pytest.fixture
def run(run_cli: Callable[..., Outcome], talk: Path) -> Callable[..., Outcome]:
    def start(*words: str, stdin: str = "") -> Outcome:
        model = f"m={language_model()}"
        arguments = ["run", talk, "--model", model, "--timeout", "110", "--", *words]
        return run_cli(arguments, stdin=stdin.encode())

    return start


def test_a_text_is_gone_on_with(run: Callable[..., Outcome]) -> None:
    outcome = run("complete", "m", "The capital of France is")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "Paris" in outcome.stdout


def test_a_conversation_remembers(run: Callable[..., Outcome]) -> None:
    questions = "What is the capital of France?\nAnd what is the capital of Italy?\n"
    outcome = run("chat", "m", stdin=questions)
    assert (outcome.code, outcome.stderr) == (0, "")
    assert "Paris" in outcome.stdout
    assert "Rome" in outcome.stdout


def test_a_text_becomes_a_vector(run: Callable[..., Outcome]) -> None:
    outcome = run("embed", "m", "hello")
    vector = json.loads(outcome.stdout)
    assert vector["n_embedding"] == len(vector["embedding"]) == 576


def test_an_engine_that_does_not_read_it_is_named(
    run_cli: Callable[..., Outcome], talk: Path, tmp_path: Path
) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"GGUF" + bytes(64))
    arguments = ["run", talk, "--backend", "openvino", "--model", f"m={model}", "--"]
    outcome = run_cli([*arguments, "complete", "m", "x"])
    assert outcome.code == 1
    assert "the engine openvino does not read ggml models" in outcome.stderr


def test_the_same_in_rust(
    run_cli: Callable[..., Outcome], talk: Path, outside: dict[str, str], tmp_path: Path
) -> None:
    project = tmp_path / "talk"
    shutil.copytree(SAMPLES / "rust", project)
    # in the user's own environment, where toolchains are kept
    install = ["--install"] if os.environ.get("CI") else []
    command = [sys.executable, "-m", "wasmlrun", "build", str(project), *install]
    built = subprocess.run(command, env=outside, capture_output=True, text=True, check=False)
    if built.returncode != 0 and " not installed" in built.stderr and not install:
        pytest.skip("Rust with a WebAssembly target is not installed (in CI it is)")
    assert built.returncode == 0, built.stderr
    model = f"m={language_model()}"

    def said(guest: Path, *words: str) -> str:
        done = run_cli(["run", guest, "--model", model, "--timeout", "110", "--", *words])
        assert (done.code, done.stderr) == (0, "")
        return done.stdout

    for words in (["complete", "m", "The capital of France is"], ["embed", "m", "hello"]):
        assert said(project / "talk.wasm", *words) == said(talk, *words)
    wrong = run_cli(["run", project / "talk.wasm", "--model", model, "--", "sing"])
    assert (wrong.code, wrong.stdout) == (1, "")
    assert "usage: talk complete MODEL PROMPT" in wrong.stderr
