"""What is said on stderr: errors always, warnings unless quiet, details when asked."""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.failure import Failure


class _Told(io.TextIOBase):
    """A stream whose text somebody is told at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def write(self, text: str) -> int:
        self._say(text)
        return len(text)


class Messages:
    """The one writer to stderr. `verbosity` is -1 for -q, 0, 1 for -v, 2 for -vv."""

    def __init__(self, verbosity: int = 0, stream: TextIO | None = None) -> None:
        self.verbosity = verbosity
        self.stream = stream if stream is not None else sys.stderr
        self.unterminated = False
        """Whether somebody else left a line on stderr without its end."""
        self.told_before = False
        """Whether what is said once a command was said already, by an earlier process of it."""
        self._aside: tuple[int, io.StringIO] | None = None

    @classmethod
    def through(cls, say: Callable[[str], None]) -> Messages:
        """Messages that a function is told, of a process whose stderr is not the place."""
        return cls(0, cast("TextIO", _Told(say)))

    def use_own_descriptor(self) -> None:
        """Write to a copy of file descriptor 2, which may be muted for native libraries."""
        if self.stream is sys.stderr:
            self.stream = open(  # noqa: PTH123, SIM115 - a descriptor, as long as the process
                os.dup(2), "w", encoding=self.stream.encoding, errors="backslashreplace"
            )

    @contextmanager
    def aside(self) -> Iterator[io.StringIO]:
        """What this thread says while the block runs is kept, not written."""
        kept = io.StringIO()
        self._aside = (threading.get_ident(), kept)
        try:
            yield kept
        finally:
            self._aside = None

    def error(self, error: WasmlrunError) -> None:
        """An error, as `failure` tells it."""
        from wasmlrun.support.failure import failure_of  # most command lines tell none

        self.failure(failure_of(error))

    def failure(self, failure: Failure) -> None:
        """`error: …` and `hint: …`; the traceback under -v."""
        if self.verbosity > 0 and failure.cause is not None:
            self._write(_traceback(failure.cause))
        self._say(f"error: {one_line(failure.message)}")
        if failure.hint:
            self._say(f"hint: {one_line(failure.hint)}")

    def bug(self, error: BaseException) -> None:
        """An error that nobody foresaw: its kind, and the traceback under -v."""
        if self.verbosity > 0:
            self._write(_traceback(error))
        self._write(f"error: a bug in wasmlrun: {type(error).__name__}: {one_line(str(error))}")
        self._write("hint: please report it, with what -v prints")

    def warn(self, text: str) -> None:
        """Something to know that stops nothing."""
        if self.verbosity >= 0:
            self._say(f"warning: {one_line(text)}")

    def info(self, text: str) -> None:
        """What is happening, for a person who waits."""
        if self.verbosity >= 0:
            self._say(printable(text))

    def text(self, text: str) -> None:
        """What was asked for, such as help, whatever the verbosity."""
        self._write(printable(text))

    def detail(self, text: str) -> None:
        """What only -v shows."""
        if self.verbosity > 0:
            self._say(printable(text))

    @contextmanager
    def guest(self) -> Iterator[GuestLines]:
        """What a guest says while the block runs, each line marked as the worker's."""
        lines = GuestLines(self)
        try:
            yield lines
        finally:
            lines.end()

    def put(self, text: str) -> None:
        """Text as it is, which ends with its line."""
        with suppress(OSError):  # nobody could be told
            if self.unterminated:
                text, self.unterminated = "\n" + text, False
            self.stream.write(text)
            self.stream.flush()

    def _say(self, text: str) -> None:
        """Write a sentence; a terminal, which would break it anywhere, gets it broken at spaces."""
        width = _columns(self.stream)
        if width and len(text) >= width:
            import textwrap

            text = "\n".join(
                textwrap.fill(line, width - 1, break_long_words=False, break_on_hyphens=False)
                for line in text.split("\n")
            )
        self._write(text)

    def _write(self, text: str) -> None:
        aside = self._aside
        if aside is not None and aside[0] == threading.get_ident():
            aside[1].write(text + "\n")
            return
        self.put(text + "\n")


class GuestLines:
    """Takes what a guest writes to stderr and tells it line by line: `worker: …`.

    So a guest's words are never taken for this program's, whatever they are.
    """

    MARK = "worker: "
    _LONGEST = 4096

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._rest = b""
        self._owed = 0
        """Bytes that the rest will take, and that were counted."""

    def __call__(self, data: bytes) -> int:
        """Tell the lines that are whole; how many bytes the data takes when all is told."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > self._LONGEST:
            lines.append(self._rest[: self._LONGEST])
            self._rest = self._rest[self._LONGEST :]
        before = self._owed
        self._owed = len(self._shown([self._rest]).encode()) if self._rest else 0
        return self._tell(lines) + self._owed - before

    def end(self) -> None:
        """Tell what is left."""
        if self._rest:
            self._tell([self._rest])
            self._rest = b""

    def _shown(self, lines: list[bytes]) -> str:
        texts = [printable(line.decode(errors="replace"), keep="\t") for line in lines]
        return "".join(f"{self.MARK}{text}\n" for text in texts)

    def _tell(self, lines: list[bytes]) -> int:
        text = self._shown(lines)
        if self._messages.verbosity >= 0 and text:
            self._messages.put(text)
        return len(text.encode())


def _columns(stream: TextIO) -> int:
    """How wide a terminal is; 0 for anything else."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):  # not a terminal of the system, or closed
        return 0


def _traceback(error: BaseException) -> str:
    """Its lines stand in: a message may be a stranger's, and begins no line of ours."""
    import textwrap
    import traceback  # not needed unless something goes wrong

    text = printable("".join(traceback.format_exception(error)).rstrip())
    return textwrap.indent(text, "  ", lambda line: True)


def one_line(text: str) -> str:
    """As `printable`, in one line: a name with an end of line in it begins no line of ours."""
    return printable(text, keep="\t")


def printable(text: str, keep: str = "\n\t") -> str:
    """Without control characters: what comes from files and guests must not steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else "\N{REPLACEMENT CHARACTER}" for c in text)
