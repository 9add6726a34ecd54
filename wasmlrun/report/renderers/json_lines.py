"""JSON Lines: one object a line; the keys are a contract under `schema`."""

from __future__ import annotations

import json
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
        told = {"code": failure.code, "message": failure.message, "hint": failure.hint}
        self._line({self._asked.subject_key: failure.subject, "error": told})

    def _line(self, record: Mapping[str, Any]) -> None:
        put(self._stream, json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False) + "\n")


make = JsonLines
