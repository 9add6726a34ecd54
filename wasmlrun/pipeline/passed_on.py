"""A program's own stdout and stderr, passed on: as they are, but for what steers a terminal."""

from __future__ import annotations

import os

from wasmlrun.sandbox.setup import Listener, to_descriptor
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.messages import Messages, printable


class PassedOn:
    """The streams of a program that has this process's own."""

    def __init__(self, messages: Messages, board: Board, *, raw: bool) -> None:
        """With `raw` a terminal gets every byte."""
        self._messages = messages
        self._board = board
        self._raw = raw
        self._to_stderr = self._passing(2) or to_descriptor(2)

    def stdout(self) -> Listener | None:
        """Where stdout goes; None is straight to this process's."""
        return self._passing(1)

    def stderr(self, data: bytes) -> None:
        """Pass it on, and remember whether it ended within a line: ours begin with one."""
        self._to_stderr(data)
        if data:
            unterminated = not data.endswith(b"\n")
            self._messages.unterminated = unterminated
            self._board.unterminated = unterminated

    def _passing(self, number: int) -> Listener | None:
        if self._raw or not os.isatty(number):
            return None
        write = to_descriptor(number)

        def shown(data: bytes) -> int:
            clean = printable(data.decode(errors="replace"), keep="\n\t\r").encode()
            write(clean)
            return len(clean)

        return shown
