"""A working process that hostile input has taken over: Python of its own instead of the work's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

_BEGINNING = """
import os, socket, sys
from pathlib import Path
from wasmlrun import cli
from wasmlrun.walls.child import standing

secret, words = sys.argv[1], sys.argv[2:]

def tried(action):
    try:
        action()
        return "done"
    except OSError as e:
        return e.strerror

def get_out():
    attempts = (os.fork, lambda: os.execv("/bin/true", ["true"]), socket.socket,
                Path(secret).read_bytes, lambda: Path(secret).write_text("changed"),
                lambda: os.kill(os.getppid(), 0))
    walls = [wall.name for wall in standing() if wall.missing is None]
    print("walls:", *walls, "tried:", *map(tried, attempts), sep="; ", file=sys.stderr, flush=True)
"""
_NO, _CLOSED = "Operation not permitted", "Permission denied"
ALL_REFUSED = [_NO, _NO, _NO, _CLOSED, _CLOSED, _NO]


def run(code: str, words: Sequence[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """`wasmlrun WORDS` after this code, which may call `get_out()`; it must not have changed the
    secret that lies in the folder.
    """
    secret = folder / "secret"
    secret.write_text("secret")
    program = f"{_BEGINNING}\n{code}\nsys.exit(cli.invoke(words))"
    command = [sys.executable, "-c", program, str(secret), *map(str, words)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, cwd=folder
    )
    assert secret.read_text() == "secret"
    return done


def attempts(said: str) -> list[str]:
    """What came of each attempt of `get_out`, as that process said; skips where walls lack."""
    (line,) = [line for line in said.splitlines() if line.startswith("walls:; ")]
    walls, _, tried = line.removeprefix("walls:; ").partition("; tried:; ")
    if not {"files", "system calls"} <= set(walls.split("; ")):
        reason = f"not all walls stand here: {walls}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return tried.split("; ")
