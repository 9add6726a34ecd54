"""A batch that is stopped from outside says what becomes of its rows."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wasmlrun.support.messages import Messages


class Terminated(BaseException):
    """The signal SIGTERM has come."""


@contextmanager
def kept_rows(messages: Messages) -> Iterator[None]:
    """While the block runs, Ctrl-C and SIGTERM end it and are told how to go on.

    Raises:
        KeyboardInterrupt: as ever. Terminated: SIGTERM.
    """

    def terminate(_: int, __: FrameType | None) -> None:
        raise Terminated

    here = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGTERM, terminate) if here else None
    try:
        yield
    except (KeyboardInterrupt, Terminated):
        messages.info("the rows so far are kept: --resume goes on")
        raise
    finally:
        if here:
            signal.signal(signal.SIGTERM, before)
