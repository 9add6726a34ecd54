"""SIGTERM as an exception, for a command whose own process has something to clear away."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Terminated(BaseException):
    """The signal SIGTERM has come."""


@contextmanager
def raised() -> Iterator[None]:
    """While the block runs, SIGTERM ends it. Raises Terminated."""

    def terminate(_: int, __: FrameType | None) -> None:
        raise Terminated

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if here else None
    try:
        yield
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)
