"""One failure, as every command, report and server tells it."""

from __future__ import annotations

from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.records import Record


class Failure(Record):
    """What went wrong with one thing, or with a whole command."""

    code: str
    """Stable name of the kind of failure, as in `bad-image`."""
    message: str
    hint: str | None
    """What to do about it."""
    exit_code: int
    subject: str | None = None
    """What failed, as the user named it: an image, a model; None is the whole command."""
    cause: WasmlrunError | None = None
    """Where the traceback is that -v shows."""


def failure_of(error: WasmlrunError, subject: str | None = None) -> Failure:
    """The record of an error."""
    return Failure(error.code, error.message, error.hint, error.exit_code, subject, error)
