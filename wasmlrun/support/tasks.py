"""Work side by side: a function's result from a thread of its own, and how many at a time.

`concurrent.futures` has such threads too; importing it (it brings `logging`) takes a tenth of a
warm run. It is used where there are many images.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_PARALLEL = 8


def parallel(count: int, *, careful: bool) -> int:
    """How many of so many are worked on at the same time; carefully, one."""
    if careful:
        return 1
    return max(1, min(count, processors(), MAX_PARALLEL))


def processors() -> int:
    """How many processors this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


@contextmanager
def quick_handover() -> Iterator[None]:
    """While the block runs, a thread that comes back from native code waits less for Python's lock.

    For a block in which one other thread has little to do in Python and must not be late: the
    usual 5 ms, a few times over, are longer than what it does. Where several threads have much
    to do it costs more than it brings.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0002)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class Task(Generic[T]):
    """A call that is running in a daemon thread.

    Making one raises MemoryError when there is no room for another thread.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._value: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError as e:  # of which Python has no kind of its own
            raise MemoryError("there is no room for a thread") from e

    def wait(self) -> None:
        """Wait for the call, however it ends."""
        self._thread.join()

    def result(self) -> T:
        """Wait for the call; return what it returned or raise what it raised."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _run(self) -> None:
        try:
            self._value.append(self._function())
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            self._error = error
