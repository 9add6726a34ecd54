"""`wasmlrun check`: a worker against the documented protocol, case by case.

Each case is a command line of `wasmlrun classify` in a process of its own, as a user would run
it, so a worker that hangs or traps in one case is still tried in the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SECONDS = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one case came to."""

    case: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class _Ran:
    """One command line's result: exit code, JSON of its last line, what stderr says."""

    code: int
    answer: dict[str, Any]
    stderr: str

    @property
    def error(self) -> str:
        return str(self.answer.get("error", {}).get("code", ""))

    @property
    def predictions(self) -> list[dict[str, Any]]:
        found = self.answer.get("predictions", [])
        return found if isinstance(found, list) else []


def check_worker(
    worker: str, model: str | None = None, backend: str | None = None
) -> Iterator[Outcome]:
    """Try a worker of the protocol `tensor` in every case; with `model`, pictures go to that, and
    with `backend` that engine runs it.
    """
    options: tuple[str, ...] = ("--model", model) if model is not None else ()
    options += ("--backend", backend) if backend is not None else ()
    with tempfile.TemporaryDirectory(prefix="wasmlrun-check-") as folder:
        pictures = _pictures(Path(folder))
        first: list[dict[str, Any]] = []
        for kind, picture in pictures.items():
            ran = _classify(worker, str(picture), *options)
            passed = ran.code == 0 and _well_formed(ran.predictions)
            first = first or ran.predictions
            yield Outcome(f"a picture: {kind}", passed, _said(ran))
        again = _classify(worker, str(next(iter(pictures.values()))), *options)
        yield Outcome(
            "the same picture again gives the same answer",
            bool(first) and again.predictions == first,
            _said(again),
        )
        for case, outcome in _CASES.items():
            yield outcome(worker, case, options)


def _well_formed(predictions: list[dict[str, Any]]) -> bool:
    scores = [p.get("score") for p in predictions]
    numbers = [s for s in scores if isinstance(s, float | int) and s == s]
    return bool(scores) and numbers == scores and numbers == sorted(numbers, reverse=True)


def _refused(ran: _Ran) -> bool:
    """Whether the worker ended by itself, with a failure."""
    return ran.code not in (0, 5) and not _trapped(ran)


def _trapped(ran: _Ran) -> bool:
    """Whether the host had to end it. What the worker itself wrote comes before the last word."""
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    last = errors[-1] if errors and ran.code == 4 else ""
    # AssemblyScript's uncaught exceptions exit with 255, which WASI hosts do not know
    return " trapped: " in last and "invalid exit status" not in last


def _missing_model(worker: str, case: str, _: Sequence[str]) -> Outcome:
    ran = _run(worker, b"\0" * 12, {"WASMLRUN_MODEL": "no-such-model"}, model=False)
    return Outcome(case, _refused(ran), _said(ran))


def _wrong_dims(worker: str, case: str, _: Sequence[str]) -> Outcome:
    ran = _run(worker, b"\0" * 12, {"WASMLRUN_INPUT_SHAPE": "1,2,2,3"})
    return Outcome(case, _refused(ran), _said(ran))


def _empty_stdin(worker: str, case: str, _: Sequence[str]) -> Outcome:
    ran = _run(worker, b"", {})
    return Outcome(case, _refused(ran), _said(ran))


def _no_variables(worker: str, case: str, _: Sequence[str]) -> Outcome:
    ran = _run(worker, b"", {}, variables=False)
    return Outcome(case, _refused(ran), _said(ran))


def _huge_output(worker: str, case: str, options: Sequence[str]) -> Outcome:
    ran = _classify(worker, None, "--max-output", "1", *options)
    # a program may take its closed output for a failure of its own; it must only end
    passed = ran.code == 0 or ran.error in ("limit", "worker-failed")
    passed = passed and not _trapped(ran)
    return Outcome(case, passed, _said(ran))


_CASES: dict[str, Callable[[str, str, Sequence[str]], Outcome]] = {
    "wrong dims are an error, not a crash": _wrong_dims,
    "a missing model is an error, not a crash": _missing_model,
    "empty stdin is an error, not a crash": _empty_stdin,
    "missing variables are an error, not a crash": _no_variables,
    "a full output ends the worker": _huge_output,
}


def _classify(worker: str, picture: str | None, *options: str) -> _Ran:
    data = None
    if picture is None:
        data, picture = _grey(), "-"
    words = ["classify", picture, "--worker", worker, "--json", "--timeout", str(SECONDS)]
    return _wasmlrun([*words, *options], data)


def _run(
    worker: str,
    stdin: bytes,
    changed: dict[str, str],
    *,
    variables: bool = True,
    model: bool = True,
) -> _Ran:
    from wasmlrun.support import bundled

    given = {
        "WASMLRUN_MODEL": bundled.DEFAULT_MODEL,
        "WASMLRUN_INPUT_SHAPE": "1,32,32,3",
        "WASMLRUN_INPUT_TYPE": "u8",
        "WASMLRUN_MODEL_ENCODING": "0",
        "WASMLRUN_OUTPUT_SHAPE": "1,10",
        "WASMLRUN_OUTPUT_TYPE": "f32",
        **changed,
    }
    words = ["run", worker, "--timeout", str(SECONDS)]
    if model:
        words += ["--model", bundled.DEFAULT_MODEL]
    if variables:
        for name, value in given.items():
            words += ["--env", f"{name}={value}"]
    return _wasmlrun(words, stdin)


def _wasmlrun(words: list[str], stdin: bytes | None) -> _Ran:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "wasmlrun", *words], input=stdin or b"", capture_output=True
    )
    lines = done.stdout.decode(errors="replace").strip().splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else {}
    except json.JSONDecodeError:
        answer = {}
    stderr = done.stderr.decode(errors="replace")
    return _Ran(done.returncode, answer if isinstance(answer, dict) else {}, stderr)


def _said(ran: _Ran) -> str:
    if ran.predictions:
        best = ran.predictions[0]
        return f"{best.get('label')} {best.get('score'):.4f}"
    errors = [line for line in ran.stderr.splitlines() if line.startswith("error: ")]
    lines = errors or ran.stderr.strip().splitlines()
    return f"exit code {ran.code}" + (f", {lines[0]}" if lines else "")


def _pictures(folder: Path) -> dict[str, Path]:
    """A small picture of each kind that a worker can meet."""
    from PIL import Image

    from wasmlrun.support import bundled

    sample = bundled.picture()
    picture = (
        Image.open(sample).convert("RGB").resize((96, 64))
        if sample is not None
        else Image.new("RGB", (96, 64), (200, 120, 40))
    )
    made = {}
    for kind, mode, name in (
        ("JPEG", "RGB", "colour.jpg"),
        ("PNG", "RGB", "colour.png"),
        ("PNG with transparency", "RGBA", "clear.png"),
        ("PNG in grey", "L", "grey.png"),
        ("PNG with a palette", "P", "palette.png"),
        ("BMP", "RGB", "colour.bmp"),
        ("GIF", "P", "colour.gif"),
        ("WebP", "RGB", "colour.webp"),
    ):
        made[kind] = folder / name
        picture.convert(mode).save(made[kind])
    for kind, size, name in (
        ("one pixel", (1, 1), "pixel.png"),
        ("very wide", (2000, 3), "wide.png"),
    ):
        made[kind] = folder / name
        picture.resize(size).save(made[kind])
    return made


def _grey() -> bytes:
    from io import BytesIO

    from PIL import Image

    data = BytesIO()
    Image.new("RGB", (32, 32), (128, 128, 128)).save(data, "PNG")
    return data.getvalue()
