"""One failure, as every command, report and server tells it."""

from __future__ import annotations

from wasmlrun.support.errors import (
    BadImage,
    BadLabels,
    BadManifest,
    BadModel,
    BadWorker,
    DownloadFailed,
    LimitExceeded,
    ShelfFailed,
    UsageFault,
    WasmlrunError,
    WorkerFailed,
)
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

    def plain(self) -> dict[str, str | None]:
        """As JSON has it, for another process: see `error_from`."""
        limit = self.cause.limit if isinstance(self.cause, LimitExceeded) else ""
        return {"code": self.code, "message": self.message, "hint": self.hint, "limit": limit}


_KINDS: dict[str, type[WasmlrunError]] = {
    kind.code: kind
    for kind in (
        UsageFault,
        BadImage,
        BadManifest,
        BadModel,
        BadLabels,
        BadWorker,
        DownloadFailed,
        ShelfFailed,
        WorkerFailed,
    )
}


def error_from(plain: object) -> WasmlrunError:
    """The error of a failure that another process told; of nonsense, that it did."""
    if isinstance(plain, dict):
        code, message, hint = plain.get("code"), plain.get("message"), plain.get("hint")
        if isinstance(message, str) and (hint is None or isinstance(hint, str)):
            if code == LimitExceeded.code:
                return LimitExceeded(message, hint, limit=str(plain.get("limit")))
            if isinstance(code, str):
                return _KINDS.get(code, WorkerFailed)(message, hint)
    return WorkerFailed("the process that did the work answered with an error that is none")


def failure_of(error: WasmlrunError, subject: str | None = None) -> Failure:
    """The record of an error."""
    return Failure(error.code, error.message, error.hint, error.exit_code, subject, error)
