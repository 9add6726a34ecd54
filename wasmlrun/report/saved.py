"""`--output FILE`: what a command writes to stdout, in a file that is whole or is not written."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from wasmlrun.report.whole_file import cannot_write, write_whole
from wasmlrun.support.errors import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SYSTEM,
    EXIT_TERMINATED,
    CannotWrite,
    UsageFault,
)

NOT_WHOLE = (EXIT_BUG, EXIT_SYSTEM, EXIT_INTERRUPTED, EXIT_TERMINATED)
"""Exit codes of a command that had not come to its end."""


def into_file(path: Path, act: Callable[[], int]) -> int:
    """Act with stdout in a nameless file, which becomes `path` in the end; the exit code.

    What was there stays where the command did not come to its end, or failed without an answer.
    All processes of the command share the file: an answer is in it once, as it would be on stdout.

    Raises:
        UsageFault: there is no place for the file.
        CannotWrite: it could not be written in the end.
    """
    why = cannot_write(path)
    if why is not None:
        raise UsageFault(f"--output {path}: {why}", "name a file to write to")
    with tempfile.TemporaryFile() as kept:
        code = _with_stdout(kept.fileno(), act)
        kept.seek(0)
        data = kept.read()
    if code in NOT_WHOLE or (code != EXIT_OK and not data):
        return code
    try:
        write_whole(path, data)
    except OSError as e:
        raise CannotWrite(f"--output {path} cannot be written: {e.strerror}") from e
    return code


def _with_stdout(descriptor: int, act: Callable[[], int]) -> int:
    sys.stdout.flush()
    before = os.dup(1)
    os.dup2(descriptor, 1)
    try:
        return act()
    finally:
        sys.stdout.flush()
        os.dup2(before, 1)
        os.close(before)
