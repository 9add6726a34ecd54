"""`wasmlrun doctor`: every finding, and that what is wrong is seen."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from kit.fakes import FakeEngine
from kit.outcome import Outcome

from wasmlrun import wasmtime_c
from wasmlrun.diagnose import doctor, machine_code
from wasmlrun.diagnose.doctor import CacheHealth, Findings, ModelTest
from wasmlrun.diagnose.escapes import Tried
from wasmlrun.engines.protocol import EngineError
from wasmlrun.report.answer import Asked
from wasmlrun.report.reporter import open_report
from wasmlrun.report.views.doctor import answer
from wasmlrun.sandbox import ahead, ahead_trial
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.cache import Cache
from wasmlrun.support.messages import Messages

GOOD = Findings(
    {"wasmlrun": "1"},
    ["CPU"],
    CacheHealth("/cache", 1, 2, "0", "0700"),
    ModelTest(True, "5 predictions"),
    [Tried("open ../x", True, "error number 63")],
    {"files": None},
)


def findings(**changes: object) -> Findings:
    return Findings(**{**{f: getattr(GOOD, f) for f in Findings.__slots__}, **changes})


def test_the_command_finds_all_well(run_cli: Callable[..., Outcome]) -> None:
    outcome = run_cli(["doctor", "--json"])
    assert (outcome.code, outcome.stderr) == (0, "")
    found = json.loads(outcome.stdout)
    assert sorted(found) == sorted(
        [
            "schema",
            "healthy",
            "versions",
            "devices",
            "cache",
            "model",
            "sandbox",
            "walls",
            "compiled",
        ]
    )
    assert found["healthy"] is True
    named = {"openvino", "platform", "python", "wasmlrun", "wasmtime"}
    assert named <= set(found["versions"]), "and every other engine that is installed"
    assert "CPU" in found["devices"]
    assert found["model"]["works"] is True
    assert {"files", "system calls", "no new privileges"} < set(found["walls"])
    refused = [t for t in found["sandbox"] if not t["name"].startswith("control")]
    assert len(refused) >= 10
    assert all(t["passed"] for t in found["sandbox"])


def test_what_was_compiled_runs_without_the_compiler() -> None:
    native, pulley = machine_code.try_all()
    assert (native.name, pulley.name) == ("run by the processor", "run by Pulley")
    assert native.how == f"{ahead.this_target()}: Cranelift was not used"
    assert pulley.how == "pulley64: Cranelift was not used"
    assert native.passed
    assert pulley.passed


def test_a_compiler_that_is_used_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    restored = ahead.restored

    def compiling(path: Path, made: ahead.Ahead, *, fuel: bool) -> object:
        wasmtime_c.Module.compiled(wasmtime_c.Engine(), b"\0asm\x01\0\0\0")
        return restored(path, made, fuel=fuel)

    monkeypatch.setattr(ahead_trial, "restored", compiling)
    tried = list(machine_code.try_all())
    assert [t.passed for t in tried] == [False, False]
    assert tried[0].how == f"{ahead.this_target()}: Cranelift was used"
    assert not findings(compiled=tried).healthy


def test_code_that_does_not_load_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    spoilt = ahead.Ahead({"name": "a module", "target": "x86_64"}, b"no machine code")
    monkeypatch.setattr(ahead_trial, "compiled", lambda code, target: spoilt)
    assert [t.passed for t in machine_code.try_all()] == [False, False]


def test_the_command_says_where_the_cache_is(
    run_cli: Callable[..., Outcome], tmp_path: Path
) -> None:
    root = tmp_path / "cache"
    root.mkdir(mode=0o777)
    root.chmod(0o777)
    outcome = run_cli(["doctor"], env={"WASMLRUN_CACHE_DIR": str(root)})
    assert outcome.code == 1
    (line,) = [line for line in outcome.stdout.splitlines() if line.split("\t")[1] == "cache"]
    assert line.startswith(f"FAILED\tcache\t{root}: 0 entries")
    assert "others may write to it" in line
    others = [line for line in outcome.stdout.splitlines() if "\tcache\t" not in line]
    assert all(line.startswith("ok\t") for line in others)


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(findings(devices=[]), id="no device"),
        pytest.param(findings(cache=CacheHealth("/cache", 0, 0, "0", "0777", ["bad"])), id="cache"),
        pytest.param(findings(model=ModelTest(False, "no model")), id="model"),
        pytest.param(findings(sandbox=[Tried("open", False, "it succeeded")]), id="sandbox"),
    ],
)
def test_one_fault_is_enough(wrong: Findings, capsys: pytest.CaptureFixture[str]) -> None:
    assert GOOD.healthy
    assert not wrong.healthy
    open_report(answer, Asked("doctor"), Messages()).result(wrong)
    states = [line.split("\t")[0] for line in capsys.readouterr().out.splitlines()]
    assert states.count("FAILED") == 1
    open_report(answer, Asked("doctor"), Messages(), as_json=True).result(wrong)
    assert json.loads(capsys.readouterr().out)["healthy"] is False


def test_an_engine_that_cannot_be_loaded_is_a_finding() -> None:
    class Broken(FakeEngine):
        def version(self) -> str:
            raise EngineError("it is missing")

        def devices(self) -> Sequence[str]:
            raise EngineError("it is missing")

    broken = Broken()
    assert doctor.versions([broken])["fake"] == "cannot be loaded: it is missing"
    assert doctor._devices(broken) == []


def test_the_cache_in_health_and_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "cache"
    assert doctor.cache_health(Cache(root)).problems == ()
    Cache(root).put("kind", "a" * 64, "a thing", b"data")
    health = doctor.cache_health(Cache(root))
    assert (health.entries, health.bytes, health.mode, list(health.problems)) == (1, 4, "0700", [])
    root.chmod(0o720)
    assert doctor.cache_health(Cache(root)).problems == ["others may write to it: chmod go-w"]
    (tmp_path / "file").touch(mode=0o600)
    assert "it is not a folder" in doctor.cache_health(Cache(tmp_path / "file")).problems
    assert doctor.cache_health(Cache(None)).path == "none"


def test_a_machine_without_room_for_temporary_files_is_a_finding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryDirectory", full)
    found = doctor.examine(Cache(None), Board())
    assert not found.healthy
    assert (found.model.works, found.sandbox[0].passed) == (False, False)
    assert "No space left on device" in found.model.how


def test_a_wall_that_is_absent_is_said_and_is_no_fault(capsys: pytest.CaptureFixture[str]) -> None:
    lacking = findings(walls={"files": "this kernel has no Landlock", "system calls": None})
    report = open_report(answer, Asked("doctor"), Messages())
    report.result(lacking)
    told = capsys.readouterr().out.splitlines()
    assert "absent\twall: files\tthis kernel has no Landlock" in told
    assert "ok\twall: system calls\tit stands" in told
    assert lacking.healthy
    assert answer(lacking).picture is not None
