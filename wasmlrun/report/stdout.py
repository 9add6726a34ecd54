"""Writing to stdout, whole things at a time."""

from __future__ import annotations

import sys
from typing import TextIO


def put(stream: TextIO, text: str) -> None:
    """Write all at once: a crash elsewhere in the process leaves no half answer."""
    stream.write(text)
    stream.flush()


def put_bytes(data: bytes) -> None:
    """Bytes that are an answer as they are, such as a response's body."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
