"""Every failure a user can meet: what happened, what to do, and the process's exit code.

Exit codes: 0 success, 1 expectation not met, 2 usage, 3 bad input, 4 the worker failed,
5 a limit was hit, 70 a bug in wasmlrun itself, 74 the system refused, 130 Ctrl-C, 143 SIGTERM.
"""

from __future__ import annotations

import errno
from typing import ClassVar

EXIT_OK = 0
EXIT_EXPECTATION = 1
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_SYSTEM = 74
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141
EXIT_TERMINATED = 143


class WasmlrunError(Exception):
    """A failure that is told to the user as `error: message` and `hint: hint`."""

    code: ClassVar[str]
    """Stable name of this kind of failure in JSON output."""
    exit_code: ClassVar[int]

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageFault(WasmlrunError):
    """The command line asks for something that does not fit together."""

    code = "usage"
    exit_code = EXIT_USAGE


class BadImage(WasmlrunError):
    """The image is missing, unreadable or refused."""

    code = "bad-image"
    exit_code = 3


class BadManifest(WasmlrunError):
    """The manifest is missing, malformed, or grants something that does not exist."""

    code = "bad-manifest"
    exit_code = 3


class BadModel(WasmlrunError):
    """The model is missing, malformed, or not of a kind that can classify an image."""

    code = "bad-model"
    exit_code = 3


class BadLabels(WasmlrunError):
    """The label file is missing, malformed, or does not fit the scores."""

    code = "bad-labels"
    exit_code = 3


class BadWorker(WasmlrunError):
    """The worker's file is missing or is not WebAssembly that can be run here."""

    code = "bad-worker"
    exit_code = 3


class BadFile(WasmlrunError):
    """A file or folder that the command line names is not there or cannot be read."""

    code = "bad-file"
    exit_code = 3


class DownloadFailed(WasmlrunError):
    """A file could not be fetched, or what came is not the file."""

    code = "download-failed"
    exit_code = 3


class ShelfFailed(WasmlrunError):
    """The folder of pulled models cannot be read or written, or does not hold the model."""

    code = "shelf"
    exit_code = 3


class WorkerFailed(WasmlrunError):
    """The worker trapped, exited with a failure, or gave no answer that can be understood."""

    code = "worker-failed"
    exit_code = 4


class LimitExceeded(WasmlrunError):
    """A limit set for the worker (time, memory, output, …) was reached."""

    code = "limit"
    exit_code = 5

    def __init__(self, message: str, hint: str | None = None, *, limit: str = "") -> None:
        super().__init__(message, hint)
        self.limit = limit
        """The limit's name."""


class Killed(LimitExceeded):
    """Somebody outside killed the process that did the work: the system, for want of memory, or a
    person. What it was at need not be to blame.
    """


class SystemRefused(WasmlrunError):
    """The system did not let this program read or write something that it needs."""

    code = "system"
    exit_code = EXIT_SYSTEM


class CannotWrite(SystemRefused):
    """The answer cannot be written to where it belongs."""


def of_the_system(error: OSError) -> WasmlrunError:
    """What the system says that nobody expected, as an error of ours: it is no bug."""
    where = f" ({error.filename})" if isinstance(error.filename, str) else ""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return LimitExceeded(
            f"no more files can be opened: {error.strerror}{where}",
            "the limit is the system's (ulimit -n); does the worker open many files?",
            limit="descriptors",
        )
    hint = "free some space, or name another place"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = error.strerror or str(error)
    return SystemRefused(f"the system refused: {reason}{where}", hint if full else None)
