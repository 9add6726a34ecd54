"""Fields with tabs between them, for other programs. Failures are told on stderr only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from wasmlrun.report.answer import Answer, Asked, Renderer
from wasmlrun.report.stdout import put
from wasmlrun.support.messages import printable


class TabLines(Renderer):
    """The lines of an answer."""

    def __init__(self, stream: TextIO, asked: Asked) -> None:
        self._stream = stream

    def result(self, answer: Answer) -> None:
        """One line for each of its lines."""
        put(self._stream, as_text(answer.lines))


def as_text(lines: Sequence[Sequence[str]]) -> str:
    """Lines whose fields hold neither tabs nor ends of lines."""
    return "".join("\t".join(printable(f, keep="") for f in fields) + "\n" for fields in lines)


make = TabLines
