"""A batch that is stopped from outside says what becomes of its rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from wasmlrun.support import termination
from wasmlrun.support.messages import Messages


@contextmanager
def kept_rows(messages: Messages) -> Iterator[None]:
    """While the block runs, Ctrl-C and SIGTERM end it and are told how to go on.

    Raises:
        KeyboardInterrupt: as ever. Terminated: SIGTERM.
    """
    with termination.raised():
        try:
            yield
        except (KeyboardInterrupt, termination.Terminated):
            messages.info("the rows so far are kept: --resume goes on")
            raise
