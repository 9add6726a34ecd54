"""Compiling ahead of time, in a process of its own that has the module's bytes and nothing besides.

wasmtime ends the process for targets that it cannot do, and a module may be made to attack the
compiler. What comes back is machine code in either case, and is run where workers are run.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from wasmlrun import __version__
from wasmlrun.binary.magic import CORE
from wasmlrun.sandbox import ahead
from wasmlrun.sandbox.ahead_compiler import BAD_MODULE, ENGINE_MADE, NO_MEMORY, NO_WALL
from wasmlrun.sandbox.worker import read_program
from wasmlrun.support.errors import BadWorker, UsageFault, WasmlrunError
from wasmlrun.support.limits import Limits, exceeded
from wasmlrun.support.records import Record

_SECONDS = 600
_MOST_CODE = 8 << 30
_MOST_SAID = 1 << 16
_RUST_HAS_NO_MEMORY = b"memory allocation of"


class CannotCompile(WasmlrunError):
    """There is no compiler here for what was asked."""

    code: ClassVar[str] = "cannot-compile"
    exit_code: ClassVar[int] = 3


class Bounds(Record):
    """What holds the compiler back."""

    memory: int = Limits().process_memory
    """Bytes that its process may have."""
    required: bool = False
    """Whether a wall that cannot stand around it is an error."""


def compile_ahead(
    worker: Path,
    output: Path,
    target: str | None,
    *,
    fuel: bool,
    front: Callable[[bytes], bytes] = lambda code: b"",
    bounds: Bounds | None = None,
) -> dict[str, Any]:
    """Compile a core module into a file that only this user's own wasmlrun loads; its header.

    `target` None is this very processor with all it can do; its own name is any processor of its
    kind; `pulley64` is bytecode that runs everywhere, slowly. `front` takes from the module what
    others will want to read of it.

    Raises:
        BadWorker: no such file, or no valid module. CannotCompile: there is no compiler for it.
        LimitExceeded: the compiler wants more memory. UsageFault: a required wall cannot stand.
    """
    code = read_program(worker)
    if not code.startswith(CORE):
        raise CannotCompile(
            f"worker {worker} is no core module",
            "components are compiled when they are first run, and kept in the cache",
        )
    settings = ahead.settings_of(fuel)
    machine_code = _compiled(code, worker, target, settings, bounds or Bounds())
    about = {
        "wasmlrun": __version__,
        "wasmtime": ahead.wasmtime_version(),
        "target": target or ahead.this_target(),
        "native": target is None,
        "settings": settings,
        "name": worker.name,
        "source": hashlib.sha256(code).hexdigest(),
        "sha256": hashlib.sha256(machine_code).hexdigest(),
        "front": front(code).hex(),
    }
    ahead.seal(output, about, machine_code)
    return about


def _compiled(
    code: bytes, worker: Path, target: str | None, settings: str, bounds: Bounds
) -> bytes:
    words = [target or "", settings, str(bounds.memory), "required" if bounds.required else ""]
    # files without names: the process can open none, and its pipes might fill up
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as made:
        given.write(code)
        given.seek(0)
        try:
            done = subprocess.run(
                # -P: none of the modules that lie in the current folder
                [sys.executable, "-P", "-m", "wasmlrun.sandbox.ahead_compiler", *words],
                stdin=given,
                stdout=made,
                stderr=subprocess.PIPE,
                check=False,
                timeout=_SECONDS,
            )
        except subprocess.TimeoutExpired:
            raise CannotCompile(f"{worker} was not compiled in {_SECONDS} seconds") from None
        size = os.fstat(made.fileno()).st_size
        made.seek(0)
        answer = made.read(size if done.returncode == 0 and size <= _MOST_CODE else _MOST_SAID)
    if done.returncode == 0 and answer.startswith(ENGINE_MADE) and size <= _MOST_CODE:
        return answer[len(ENGINE_MADE) :]
    raise _failure(worker, target, bounds, done.returncode, answer, done.stderr)


def _failure(
    worker: Path, target: str | None, bounds: Bounds, status: int, answer: bytes, said: bytes
) -> WasmlrunError:
    """Why a compiling process that ended with this status and answer made nothing."""
    if status == NO_MEMORY or _RUST_HAS_NO_MEMORY in said:
        return exceeded("process_memory", bounds.memory, f"the compiler wants more for {worker}")
    if status == NO_WALL:
        why = answer.decode(errors="replace")
        return UsageFault(why, "wasmlrun doctor says what there is")
    if not answer.startswith(ENGINE_MADE):
        return CannotCompile(
            f"this wasmtime has no compiler for {target or ahead.this_target()}",
            f"--target {ahead.PORTABLE} is bytecode for every processor; "
            "or compile on the other machine",
        )
    if status == BAD_MODULE:
        why = answer[len(ENGINE_MADE) :].decode(errors="replace")
        return BadWorker(f"worker {worker} cannot be compiled: {why}")
    how = f"exit code {status}"
    if status < 0:
        how = signal.Signals(-status).name
    return BadWorker(
        f"the compiler crashed ({how}) on worker {worker}",
        "the module may have been made to attack; do not use it",
    )
