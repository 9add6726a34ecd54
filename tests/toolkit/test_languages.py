"""Every language gives the same answer, and every toolchain builds what `new` writes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from kit.outcome import OUTSIDE

from wasmlrun.binary import module as binary
from wasmlrun.binary.module import CoreModule
from wasmlrun.serve.site_routes import SUFFIXES
from wasmlrun.toolkit.build import builder_of
from wasmlrun.toolkit.interpreters import RUNTIMES
from wasmlrun.toolkit.interpreters.build import BUILDERS
from wasmlrun.toolkit.languages import LANGUAGES, Compiled, Language

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "samples" / "workers"
DOG = ROOT / "samples" / "dog.jpg"
CI = bool(os.environ.get("CI"))
# installing a toolchain and compiling an interpreter are part of it
SECONDS = 900

Outcome = subprocess.CompletedProcess[str]
every_language = pytest.mark.parametrize("language", LANGUAGES.values(), ids=LANGUAGES.keys())


def wasmlrun(words: list[str | Path], env: Mapping[str, str], cwd: Path | None = None) -> Outcome:
    # in the user's own environment: toolchains, interpreters and their caches are kept there
    return subprocess.run(
        [sys.executable, "-m", "wasmlrun", *map(str, words)],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def available(done: Outcome) -> Outcome:
    """Skips where a toolchain is absent, but never in CI, which installs them."""
    if (
        done.returncode == 3 and " is not prepared" in done.stderr
    ) or " not installed" in done.stderr:
        reason = done.stderr.strip().splitlines()[0]
        assert not CI, reason
        pytest.skip(f"{reason} (in CI it is installed)")
    return done


def test_every_language_has_what_makes_it_a_worker() -> None:
    for language in LANGUAGES.values():
        if isinstance(language, Compiled):
            assert callable(builder_of(language))
    assert BUILDERS.keys() == RUNTIMES.keys()
    assert {runtime.language.suffix for runtime in RUNTIMES.values()} < set(SUFFIXES)


def test_the_readme_names_every_language() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    example = text.split("wasmlrun new mine --lang")[1].split("wasmlrun classify")[0]
    assert set(LANGUAGES) <= set(re.findall(r"\w+", example))


def worker_of(language: Language) -> Path:
    return SAMPLES / language.name / f"classify{language.suffix if language.script else '.wasm'}"


def answer(words: list[str | Path], env: Mapping[str, str]) -> list[tuple[int, float]]:
    install: list[str | Path] = ["--install"] if CI else []
    done = available(wasmlrun(["classify", "--json", "-k", "5", *words, *install], env))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["predictions"]
    return [(p["index"], p["score"]) for p in found]


@cache
def expected(picture: Path, *options: str | Path) -> list[tuple[int, float]]:
    return answer([picture, *options], OUTSIDE)


def agree(language: Language, picture: Path, *options: str | Path) -> None:
    worker = worker_of(language)
    got = answer([picture, "--worker", worker, "--timeout", "300", *options], OUTSIDE)
    wanted = expected(picture, *options)
    assert [index for index, _ in got] == [index for index, _ in wanted]
    assert [score for _, score in got] == pytest.approx([score for _, score in wanted], abs=1e-6)


@every_language
def test_same_answer_from_the_default_model(language: Language) -> None:
    agree(language, DOG)


@every_language
def test_same_answer_from_a_real_model(language: Language, shared_data: Path) -> None:
    model = shared_data / "models" / "tf2_mobilenet_v2_1.0_224_ptq.tflite"
    agree(language, shared_data / "images" / "cat_720p.jpg", "--model", model)


@every_language
def test_a_fresh_project_is_built_and_recognises_the_dog(
    language: Language, tmp_path: Path
) -> None:
    env = OUTSIDE
    install = ["--install"] if CI else []
    assert wasmlrun(["new", "fresh", "--lang", language.name], env, tmp_path).returncode == 0
    built = available(wasmlrun(["build", "fresh", *install], env, tmp_path))
    assert built.returncode == 0, built.stderr
    assert "imports" in built.stderr
    done = wasmlrun(
        ["classify", "fresh/dog.jpg", "--worker", "fresh", "--expect", "dog", "--timeout", "300"],
        env,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["c", "zig", "rust", "go", "assemblyscript"])
def test_a_compiler_s_errors_are_shown_with_file_and_line(name: str, tmp_path: Path) -> None:
    env = OUTSIDE
    language = LANGUAGES[name]
    assert wasmlrun(["new", "broken", "--lang", name], env, tmp_path).returncode == 0
    source = tmp_path / "broken" / f"classify{language.suffix}"
    source.write_text(source.read_text() + "\n}} nonsense {{\n")
    done = available(wasmlrun(["build", "broken", *(["--install"] if CI else [])], env, tmp_path))
    assert done.returncode == 3
    assert re.search(re.escape(source.name) + r"[:(]\d\d+\D", done.stderr)
    assert not source.with_suffix(".wasm").exists()


@every_language
def test_a_sample_is_short_and_its_module_small(language: Language) -> None:
    source = SAMPLES / language.name / f"classify{language.suffix}"
    lines = source.read_text().splitlines()
    assert len(lines) <= 100
    steps = [line.strip(" \t/#")[:2] for line in lines if line.strip(" \t/#")[1:3] == ". "]
    assert steps == ["1.", "2.", "3.", "4.", "5."]
    if not language.script:
        module = worker_of(language)
        assert module.stat().st_size < 3_000_000
        parsed = binary.read(module.read_bytes())
        assert isinstance(parsed, CoreModule)
        imports = {item.module for item in parsed.imports}
        assert imports == {"wasi_snapshot_preview1", "wasi_ephemeral_nn"}
