"""`wasmlrun check`: what counts as a crash of a worker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kit.core_guests import printing
from kit.needs import needs
from kit.onnx_by_hand import colours_onnx
from kit.outcome import Outcome

FORGED = "error: worker x failed: invalid exit status\n"


@pytest.mark.parametrize("said", ["", FORGED, "error: exited with code 1\nerror: the worker\n"])
def test_a_trap_is_a_crash_whatever_the_worker_says(
    said: str, tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    manifest = 'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n[classify]\n'
    worker = make_worker(tmp_path, printing(said, descriptor=2, then="unreachable"), manifest)
    outcome = run_cli(["check", worker])
    assert outcome.code == 1
    results = [line.split("\t")[:2] for line in outcome.stdout.splitlines()]
    crashes = [result for result, case in results if "not a crash" in case]
    assert crashes == ["FAIL"] * 4
    # one that says something is cut off before it traps
    full = "pass" if said else "FAIL"
    assert [full, "a full output ends the worker"] in results


def test_a_failure_is_no_crash(
    tmp_path: Path, make_worker: Callable[..., Path], run_cli: Callable[..., Outcome]
) -> None:
    manifest = 'version = "1"\n[features.wasi_nn]\nallowed_backends = ["openvino"]\n[classify]\n'
    exits = printing("it trapped: no\n", descriptor=2, then="(call $proc_exit (i32.const 1))")
    outcome = run_cli(["check", make_worker(tmp_path, exits, manifest)])
    passed = [line for line in outcome.stdout.splitlines() if "not a crash" in line]
    assert len(passed) == 4
    assert all(line.startswith("pass\t") for line in passed)


def test_a_worker_is_tried_with_another_engine(
    tmp_path: Path, run_cli: Callable[..., Outcome]
) -> None:
    needs("onnxruntime", "onnxruntime")
    model = tmp_path / "colours.onnx"
    model.write_bytes(colours_onnx())
    outcome = run_cli(["check", "mobilenet", "--model", model, "--backend", "onnx"])
    assert outcome.code == 0, outcome.stdout
    # an engine that does not read it makes every picture fail
    outcome = run_cli(["check", "mobilenet", "--model", model, "--backend", "litert"])
    assert outcome.code == 1
    assert "the engine litert does not read onnx models" in outcome.stdout


def test_an_engine_that_is_none(run_cli: Callable[..., Outcome]) -> None:
    outcome = run_cli(["check", "mobilenet", "--backend", "onyx"])
    assert (outcome.code, outcome.stdout) == (2, "")
    assert "error: --backend onyx: no engine is named 'onyx'" in outcome.stderr
