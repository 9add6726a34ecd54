"""The sample guests of language models, run as a user runs them."""

from __future__ import annotations

import json
import os
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
