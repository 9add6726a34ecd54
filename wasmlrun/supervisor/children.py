"""Several children that do the same, each one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child


class Children:
    """Calls go to the child that was used last of those that are idle; the rest start when needed.

    Threads may share it; when all children are busy they wait for one.
    """

    def __init__(self, make: Callable[[], Child], count: int) -> None:
        """`make` makes one of `count` children."""
        self._all = [make() for _ in range(count)]
        self._idle = list(reversed(self._all))
        self._freed = threading.Condition()
        self._closed = False

    def call(self, message: Message) -> Message:
        """The answer of one of them. Raises what `Child.call` does."""
        with self._freed:
            while not self._idle and not self._closed:
                self._freed.wait()
            if self._closed:
                raise ValueError("the worker is closed")
            child = self._idle.pop()
        try:
            return child.call(message)
        finally:
            with self._freed:
                self._idle.append(child)
                self._freed.notify()

    def prepare(self) -> None:
        """Start the first. Raises what `Child.call` does."""
        self._all[0].prepare()

    def close(self) -> None:
        """End them all, and the calls that run or wait with a ValueError."""
        with self._freed:
            self._closed = True
            self._freed.notify_all()
        for child in self._all:
            child.close()
