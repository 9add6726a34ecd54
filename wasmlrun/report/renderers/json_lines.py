"""JSON Lines: one object a line; the keys are a contract under `schema`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TextIO

from wasmlrun.report.answer import Answer, Asked, Renderer
from wasmlrun.report.stdout import put
from wasmlrun.support.failure import Failure

SCHEMA = 1


class JsonLines(Renderer):
    """Every record of an answer, and every failure."""

    def __init__(self, stream: TextIO, asked: Asked) -> None:
        self._stream = stream
        self._asked = asked

    def result(self, answer: Answer) -> None:
        """One line a record."""
        for record in answer.records:
            self._line(record)

    def failure(self, failure: Failure) -> None:
        """What failed, and `error` with `code`, `message`, `hint`."""
        self._line({self._asked.subject_key: failure.subject, "error": told(failure)})

    def _line(self, record: Mapping[str, Any]) -> None:
        text = line_of(record)
        if not _is_utf8(self._stream):
            text = "".join(c if c.isascii() else _escaped(c) for c in text)
        put(self._stream, text + "\n")


def told(failure: Failure) -> dict[str, str | None]:
    """What stands under `error`."""
    return {"code": failure.code, "message": failure.message, "hint": failure.hint}


def line_of(record: Mapping[str, Any]) -> str:
    """A record as one line, without its end."""
    return safe(json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False))


def safe(text: str) -> str:
    """JSON without characters that a terminal or a reader of lines could take for more.

    What is not printable (ends of lines, changes of direction) is escaped, which changes no
    value. What is no Unicode, such as a file's name in an unknown encoding, becomes text that
    shows its bytes: JSON has no way to write it.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else _escaped(c) for c in _SURROGATE.sub(_shown, text))


_SURROGATE = re.compile("[\ud800-\udfff]")


def _shown(found: re.Match[str]) -> str:
    number = ord(found[0])
    # Python has the bytes of a name that is no UTF-8 here
    return f"\\\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else "\ufffd"


def _escaped(character: str) -> str:
    data = character.encode("utf-16-be")
    return "".join(f"\\u{data[i]:02x}{data[i + 1]:02x}" for i in range(0, len(data), 2))


def _is_utf8(stream: TextIO) -> bool:
    return (stream.encoding or "utf-8").lower().replace("-", "") == "utf8"


make = JsonLines
