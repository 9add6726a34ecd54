"""The three standard streams, whatever this process was started with."""

from __future__ import annotations

import os
import sys
from typing import Literal, TextIO


def secure() -> None:
    """See to it that descriptors 0, 1 and 2 are open and that any text can be written.

    A file that is opened later must not get the number of a stream that was closed. What is
    written to a stdout that was closed fails, as it should; a closed stderr hears nothing, and a
    closed stdin is empty.
    """
    for number, flags in ((0, os.O_RDONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(number)
        except OSError:
            found = os.open(os.devnull, flags)  # the lowest that is free
            if found != number:
                os.dup2(found, number)
                os.close(found)
    # Python has no stream where none was open
    if sys.stdin is None:
        sys.stdin = _stream(0, "r")
    if sys.stdout is None:
        sys.stdout = _stream(1, "w")
    if sys.stderr is None:
        sys.stderr = _stream(2, "w")
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and sys.stdout.errors == "strict":
        reconfigure(errors="backslashreplace")


def _stream(number: int, mode: Literal["r", "w"]) -> TextIO:
    return open(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
