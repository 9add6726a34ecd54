"""Answers of the server's own: JSON, errors, and the status that stands for each error."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

from wasmlrun.serve.guard import BodyTooLarge, BodyTooSlow, Send
from wasmlrun.serve.pool import Busy, Crashed
from wasmlrun.support.errors import BadImage, LimitExceeded, UsageFault, WasmlrunError
from wasmlrun.support.records import Record

RETRY_AFTER = "1"
"""Seconds after which a client may try again when the queue was full."""


class Reply(Record):
    """What is sent: status, headers in lower case, body."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


class Refused(Exception):
    """A request that cannot be answered otherwise: status, a sentence, headers."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        """A header's name has `_` for `-`."""
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = tuple((name.replace("_", "-"), value) for name, value in headers.items())


def check_method(method: str, *allowed: str) -> None:
    """Raises Refused for a method that is none of these."""
    if method not in allowed:
        told = f"{method} is not possible here; {' or '.join(allowed)} is"
        raise Refused(405, told, allow=", ".join(allowed))


def as_json(value: Any, status: int = 200) -> Reply:
    """A value as JSON."""
    return Reply(status, (("content-type", "application/json"),), json.dumps(value).encode())


def failed(error: Exception) -> tuple[int, dict[str, Any]]:
    """The status of an error, and code, message and hint of it. What nobody foresaw is raised."""
    match error:
        case Refused():
            code = "too-many" if error.status == 429 else "refused"
            return error.status, {"code": code, "message": error.message}
        case Busy():
            return 503, {"code": "busy", "message": "too many requests wait already"}
        case BodyTooLarge():
            return 413, {"code": "too-large", "message": "the body is larger than it may be"}
        case BodyTooSlow():
            return 408, {"code": "too-slow", "message": "the body did not come in time"}
        case Crashed():
            return 502, _told(error.error)
        case LimitExceeded():
            return 504 if error.limit == "timeout" else 500, _told(error)
        case BadImage() | UsageFault():
            return 400, _told(error)
        case WasmlrunError():
            return 500, _told(error)
    raise error


def _told(error: WasmlrunError) -> dict[str, Any]:
    told = {"code": error.code, "message": error.message}
    return told | ({"hint": error.hint} if error.hint else {})


def readiness(ending: Event) -> Reply:
    """Whether the server may be asked: not once it is about to end."""
    ready = not ending.is_set()
    return as_json({"ready": ready}, 200 if ready else 503)


def error_answer(error: Exception) -> Reply:
    """An error as JSON, `{"error": {"code", "message", "hint"}}`."""
    status, told = failed(error)
    return with_headers(as_json({"schema": 1, "error": told}, status), error)


def with_headers(answer: Reply, error: Exception) -> Reply:
    """An error's answer; one that says "not now" says when, one that says "not so" says how."""
    more = error.headers if isinstance(error, Refused) else ()
    if answer.status == 503:
        more = (*more, ("retry-after", RETRY_AFTER))
    return Reply(answer.status, (*answer.headers, *more), answer.body)


async def send(answer: Reply, to: Send, extra: Mapping[str, str] | None = None) -> None:
    """Send an answer whole."""
    headers = [*answer.headers, *(extra or {}).items(), ("content-length", str(len(answer.body)))]
    encoded = [(k.encode("latin-1"), v.encode("latin-1", "replace")) for k, v in headers]
    await to({"type": "http.response.start", "status": answer.status, "headers": encoded})
    await to({"type": "http.response.body", "body": answer.body})
