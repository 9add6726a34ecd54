"""A terminal that a command runs in: what it shows, and in which colours."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
LINES = 600
"""More than any command prints, so that nothing scrolls away."""


@dataclass(frozen=True)
class Shown:
    """What stood on the screen in the end."""

    code: int
    lines: tuple[str, ...]
    """Without the spaces at their ends."""
    colours: frozenset[tuple[str, str]]
    """Foreground and background of every character that is no space."""
    sent: bytes
    """What the command wrote, as it was."""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def run_in_terminal(
    words: Sequence[str | Path],
    environ: Mapping[str, str],
    *,
    columns: int = 80,
    answers: Mapping[bytes, bytes] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
) -> Shown:
    """Run `wasmlrun` with both its outputs, and its input unless it is a file, on a terminal.

    `answers` are what the terminal says when something is written to it.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, columns * 10, 800))
    outside = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "COLUMNS", "LINES")}
    command = [sys.executable, "-m", "wasmlrun", *map(str, words)]
    with (stdin or Path(os.devnull)).open("rb") as file:
        process = subprocess.Popen(
            command,
            stdin=theirs if stdin is None else file,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            start_new_session=True,
            env={**outside, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environ},
        )
    os.close(theirs)
    try:
        sent = _read(ours, dict(answers or {}), process)
        code = process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    screen = pyte.Screen(columns, LINES)
    pyte.ByteStream(screen).feed(sent)
    lines = [line.rstrip() for line in screen.display]
    while lines and not lines[-1]:
        lines.pop()
    colours = {
        (cell.fg, cell.bg)
        for row in screen.buffer.values()
        for cell in row.values()
        if cell.data.strip()
    }
    return Shown(code, tuple(lines), frozenset(colours), sent)


def _read(terminal: int, answers: dict[bytes, bytes], process: subprocess.Popen[bytes]) -> bytes:
    """Everything until the command's end; each answer is given once."""
    sent, end = b"", time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.1)[0]:
            if process.poll() is not None:
                return sent
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the last who had it open is gone
            return sent
        if not data:
            return sent
        sent += data
        for asked in [asked for asked in answers if asked in sent]:
            os.write(terminal, answers.pop(asked))
    raise AssertionError(f"no end after {PATIENCE} s: {sent[-500:]!r}")
