"""Compiled ahead of time: run without a compiler, and only what may be run."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import wasmtime
from kit import taken_over

from wasmlrun.sandbox import ahead
from wasmlrun.sandbox.ahead_making import Bounds, compile_ahead
from wasmlrun.support.errors import BadWorker, WasmlrunError
from wasmlrun.support.userdata import data_dir

HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 8) "\\10\\00\\00\\00\\06\\00\\00\\00hello\\n")
  (func (export "_start")
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0)))))"""


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    path = tmp_path / "hello.wasm"
    path.write_bytes(wasmtime.wat2wasm(HELLO))
    return path


def changed(path: Path, about: dict[str, Any]) -> None:
    """Other values in a file's header, its machine code and code as they were."""
    content = path.read_bytes()
    at = len(ahead.MAGIC) + 4
    size = int.from_bytes(content[at - 4 : at], "little")
    header = json.loads(content[at : at + size]) | about
    text = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    path.write_bytes(ahead.MAGIC + len(text).to_bytes(4, "little") + text + content[at + size :])


@pytest.mark.parametrize("target", ["native", ahead.this_target(), "pulley64"])
def test_it_runs_without_a_compiler(
    target: str, hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    done = run_cli(["compile", "hello.wasm", "--target", target], cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert f"for {ahead.this_target() if target == 'native' else target}" in done.stderr
    hello.unlink()
    spans = tmp_path / "trace.json"
    done = run_cli(["run", "hello.cwasm", "--trace", spans], cwd=tmp_path)
    assert (done.code, done.stdout) == (0, "hello\n"), done.stderr
    events = {event["name"]: event for event in json.loads(spans.read_text())}
    assert "worker" in events
    assert "compile" not in events
    facts = events["code"]["args"]
    assert facts["cranelift"] == "not used"
    assert ("Pulley" in facts["kind"]) == (target == "pulley64")


def test_the_trace_tells_when_the_compiler_was_used(
    hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    spans = tmp_path / "trace.json"
    done = run_cli(["run", "hello.wasm", "--no-cache", "--trace", spans], cwd=tmp_path)
    assert done.code == 0, done.stderr
    events = {event["name"]: event for event in json.loads(spans.read_text())}
    assert "compile" in events
    assert events["code"]["args"]["cranelift"] == "used"


@pytest.mark.parametrize("target", ["x86_64", "aarch64", "riscv64"])
def test_a_target_without_a_compiler_is_told(
    target: str, hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    if target == ahead.this_target():
        pytest.skip("this processor has a compiler")
    done = run_cli(["compile", "hello.wasm", "--target", target], cwd=tmp_path)
    assert done.code == 3
    assert f"this wasmtime has no compiler for {target}" in done.stderr
    assert "--target pulley64 is bytecode for every processor" in done.stderr
    assert not list(tmp_path.glob("*.cwasm"))


def test_machine_code_of_others_is_not_run_until_it_is_trusted(
    hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    other = {"WASMLRUN_DATA_DIR": str(tmp_path / "other")}
    assert run_cli(["compile", "hello.wasm"], cwd=tmp_path, env=other).code == 0
    for _ in range(2):
        # once without a key, once with another key
        done = run_cli(["run", "hello.cwasm"], cwd=tmp_path)
        assert done.code == 3
        assert "is machine code that this wasmlrun did not make, and is not run" in done.stderr
        assert "wasmlrun compile --trust hello.cwasm" in done.stderr
        assert run_cli(["compile", "hello.wasm", "-o", "own.cwasm"], cwd=tmp_path).code == 0
    done = run_cli(["compile", "--trust", "hello.cwasm"], cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert "hello.wasm for" in done.stderr
    assert run_cli(["run", "hello.cwasm"], cwd=tmp_path).stdout == "hello\n"
    # trusted here is not trusted there
    assert run_cli(["run", "hello.cwasm"], cwd=tmp_path, env=other).code == 3


def test_no_byte_can_be_changed(hello: Path, tmp_path: Path) -> None:
    made = tmp_path / "h.cwasm"
    compile_ahead(hello, made, None, fuel=False)
    content = made.read_bytes()
    assert ahead.opened(made, content, fuel=False).target is None
    header_end = len(ahead.MAGIC) + 4 + int.from_bytes(content[24:28], "little")
    spots = [*range(0, header_end + 32, 7), *range(header_end + 32, len(content), 997)]
    for at in [*spots, len(content) - 1]:
        bent = bytearray(content)
        bent[at] ^= 1
        with pytest.raises(BadWorker):
            ahead.opened(made, bytes(bent), fuel=False)
    for cut in (0, 10, 27, header_end - 1, header_end + 31, len(content) - 1):
        with pytest.raises(BadWorker):
            ahead.opened(made, content[:cut], fuel=False)
    # a header that agrees with other machine code, sealed by nobody
    changed(made, {"name": "other.wasm"})
    with pytest.raises(BadWorker, match="did not make"):
        ahead.opened(made, made.read_bytes(), fuel=False)


@pytest.mark.parametrize(
    ("about", "why"),
    [
        ({"target": "sparc"}, "was compiled for sparc, and this is"),
        ({"wasmtime": "1.2.3"}, "was compiled for wasmtime 1.2.3, and this is"),
        ({"settings": "epochs, fuel"}, "was compiled for runs whose instructions are counted"),
        ({"sha256": "0" * 64}, "is damaged"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_reason(
    about: dict[str, Any], why: str, hello: Path, tmp_path: Path
) -> None:
    made = tmp_path / "h.cwasm"
    compile_ahead(hello, made, None, fuel=False)
    changed(made, about)
    with pytest.raises(BadWorker, match=why):
        ahead.opened(made, made.read_bytes(), fuel=False)


def test_counting_instructions_is_compiled_in(
    hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert run_cli(["compile", "hello.wasm", "--count-fuel"], cwd=tmp_path).code == 0
    done = run_cli(["run", "hello.cwasm", "--fuel", "10000"], cwd=tmp_path)
    assert (done.code, done.stdout) == (0, "hello\n"), done.stderr
    done = run_cli(["run", "hello.cwasm"], cwd=tmp_path)
    assert done.code == 3
    assert "compile it again without --count-fuel" in done.stderr


def test_a_key_that_others_can_read_is_not_used(hello: Path, tmp_path: Path) -> None:
    made = tmp_path / "h.cwasm"
    compile_ahead(hello, made, None, fuel=False)
    key = data_dir() / "compile.key"
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    try:
        with pytest.raises(BadWorker, match="is not yours alone"):
            ahead.opened(made, made.read_bytes(), fuel=False)
    finally:
        key.chmod(0o600)
    whole = key.read_bytes()
    key.write_bytes(whole[:-1])
    try:
        with pytest.raises(BadWorker, match=r"compile\.key is damaged"):
            ahead.opened(made, made.read_bytes(), fuel=False)
    finally:
        key.write_bytes(whole)


def test_only_modules_are_compiled(run_cli: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "bad.wasm").write_bytes(b"\0asm\x01\0\0\0nonsense")
    (tmp_path / "component.wasm").write_bytes(wasmtime.wat2wasm("(component)"))
    for name, why in (
        ("bad.wasm", "worker bad.wasm cannot be compiled"),
        ("component.wasm", "worker component.wasm is no core module"),
        ("none.wasm", "worker none.wasm does not exist"),
    ):
        done = run_cli(["compile", name], cwd=tmp_path)
        assert done.code == 3
        assert why in done.stderr
    done = run_cli(["compile", "--trust", "bad.wasm"], cwd=tmp_path)
    assert done.code == 3
    assert "worker bad.wasm is no compiled worker" in done.stderr


def test_inspect_says_what_it_is_and_whether_it_runs(
    hello: Path, run_cli: Callable[..., Any], tmp_path: Path
) -> None:
    assert run_cli(["compile", "hello.wasm", "--target", "pulley64"], cwd=tmp_path).code == 0
    done = run_cli(["inspect", "hello.cwasm", "--json"], cwd=tmp_path)
    found = json.loads(done.stdout)
    assert (found["kind"], found["target"], found["bytecode"]) == (
        *("compiled worker", "pulley64"),
        True,
    )
    assert (found["runs_here"], found["counts_fuel"]) == (True, False)
    assert found["compiled_from"]["name"] == "hello.wasm"
    other = {"WASMLRUN_DATA_DIR": str(tmp_path / "other")}
    lines = run_cli(["inspect", "hello.cwasm"], cwd=tmp_path, env=other).stdout.splitlines()
    assert "kind\tcompiled worker: bytecode, run by Pulley; Cranelift is not used" in lines
    assert "runs here\tno" in lines
    assert any(
        line.startswith("obstacle\tworker hello.cwasm is machine code that this wasmlrun did")
        for line in lines
    )


# the compiling process, if a module took it over
TAKEN_OVER = """
from wasmlrun import wasmtime_c
from wasmlrun.sandbox import ahead_compiler

def compiled(engine, code):
    get_out()
    return machine_code

class machine_code:
    serialize = staticmethod(lambda: b"code of " + sys.argv[1].encode())

wasmtime_c.Module.compiled = compiled
sys.exit(ahead_compiler.main(words))
"""


def test_the_compiler_stands_behind_walls(tmp_path: Path) -> None:
    done = taken_over.run(TAKEN_OVER, ["", "epochs", str(1 << 33), ""], tmp_path)
    assert done.stdout.startswith("\ncode of ")
    # it may read nothing, not even what it compiles: that is its standard input
    assert taken_over.attempts(done.stderr) == taken_over.ALL_REFUSED


def test_the_compilers_memory_is_bounded(tmp_path: Path, run_cli: Callable[..., Any]) -> None:
    step = "i64.const 3 i64.mul local.get 0 i64.add " * 300
    one = f"(func (param i64) (result i64) local.get 0 {step})"
    (tmp_path / "big.wasm").write_bytes(wasmtime.wat2wasm(f"(module {one * 1000})"))
    for limit in ("1M", "40M"):
        done = run_cli(["compile", "big.wasm", "--max-process-memory", limit], cwd=tmp_path)
        assert done.code == 5, done.stderr
        assert "the compiler wants more for big.wasm" in done.stderr
        assert "raise it with --max-process-memory" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["big.wasm"]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo; kill -SEGV $$", r"the compiler crashed \(SIGSEGV\) on worker .*hello.wasm"),
        ("echo; exit 9", r"the compiler crashed \(exit code 9\) on worker .*hello.wasm"),
        ("exit 0", "this wasmtime has no compiler for"),
        ("echo; printf bad; exit 3", "hello.wasm cannot be compiled: bad"),
        ("printf 'no files'; exit 5", "no files"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="a script for a shell")
def test_how_the_compiler_ends_is_told(
    script: str, why: str, hello: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in = tmp_path / "python"
    stand_in.write_text(f"#!/bin/sh\n{script}\n")
    stand_in.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stand_in))
    with pytest.raises(WasmlrunError, match=why):
        compile_ahead(hello, tmp_path / "made", None, fuel=False, bounds=Bounds())
    assert not (tmp_path / "made").exists()
