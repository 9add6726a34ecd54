"""One failure, as every command, report and server tells it."""

from __future__ import annotations

from wasmlrun.support import errors
from wasmlrun.support.errors import LimitExceeded, WasmlrunError, WorkerFailed
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

    def plain(self) -> dict[str, str | int | None]:
        """As JSON has it, for another process: see `error_from`."""
        plain = {"code": self.code, "message": self.message, "hint": self.hint}
        limit = self.cause.limit if isinstance(self.cause, LimitExceeded) else None
        return {**plain, "exit_code": self.exit_code, "limit": limit}


def _kinds() -> dict[str, type[WasmlrunError]]:
    """Every kind of error by its code; the first of a code is the one that all others of it are."""
    found: dict[str, type[WasmlrunError]] = {}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, WasmlrunError) and "code" in vars(kind):
            found.setdefault(kind.code, kind)
    return found


def error_from(plain: object) -> WasmlrunError:
    """The error of a failure that another process told; of nonsense, that it did.

    One of a kind that is not among those of `wasmlrun.support.errors` has its code and exit code.
    """
    told: dict[str, object] = plain if isinstance(plain, dict) else {}
    match told:
        case {"code": LimitExceeded.code, "message": str(message), "hint": str() | None as hint}:
            return LimitExceeded(message, hint, limit=str(told.get("limit")))
        case {"code": str(code), "message": str(message), "hint": str() | None as hint}:
            kind = _kinds().get(code)
            if kind is not None:
                return kind(message, hint)
            exit_code = told.get("exit_code")
            if isinstance(exit_code, int):
                error = WasmlrunError(message, hint)
                vars(error).update(code=code, exit_code=exit_code)
                return error
    return WorkerFailed("the process that did the work answered with an error that is none")


def failure_of(error: WasmlrunError, subject: str | None = None) -> Failure:
    """The record of an error."""
    return Failure(error.code, error.message, error.hint, error.exit_code, subject, error)
