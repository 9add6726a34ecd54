"""Writing to stdout, whole things at a time."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from wasmlrun.support.errors import CannotWrite


def put(stream: TextIO, text: str) -> None:
    """Write all at once: a crash elsewhere in the process leaves no half answer."""
    with writing():
        stream.write(text)
        stream.flush()


def put_bytes(data: bytes) -> None:
    """Bytes that are an answer as they are, such as a response's body."""
    with writing():
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


@contextmanager
def writing() -> Iterator[None]:
    """A reader that went away is told by its own error, any other failure as CannotWrite."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as e:
        raise CannotWrite(f"the answer cannot be written: {e.strerror}") from e


class Gathered(io.StringIO):
    """A stream that keeps what is written until somebody takes it, like the one it stands for."""

    def __init__(self, stands_for: TextIO) -> None:
        super().__init__()
        self._stands_for = stands_for
        self.through = True
        """Whether all goes to the other stream at once."""

    def isatty(self) -> bool:
        """Whether the other one is a terminal."""
        return self._stands_for.isatty()

    def write(self, text: str) -> int:
        """Keep the text, or pass it on to the other."""
        return self._stands_for.write(text) if self.through else super().write(text)

    def flush(self) -> None:
        """Nothing is kept back where all goes through."""
        if self.through:
            self._stands_for.flush()

    def taken(self) -> bytes:
        """What was kept, for once."""
        text = self.getvalue()
        self.seek(0)
        self.truncate()
        errors = self._stands_for.errors or "strict"
        return text.encode(self._stands_for.encoding, errors)
