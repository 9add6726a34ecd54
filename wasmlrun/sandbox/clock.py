"""Time: each instance's own deadline, and the one thread that interrupts whose time is over.

WebAssembly engines interrupt their guests by epochs: a store is told after how many epochs its
guest ends. An epoch here is a hundredth of a second, but nothing ticks: the thread sleeps until
the next guest's time is over and then brings that guest's engine up to date, so that guests of
one engine may have different deadlines.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from wasmlrun.support.cache import Cache
from wasmlrun.support.limits import Limits
from wasmlrun.support.records import Record

EPOCH = 0.01
"""Seconds."""
_NEVER = 1 << 62


class Trapped(Exception):
    """An engine ended a guest; the message is the engine's own."""

    def __init__(self, message: str, limit: str | None = None) -> None:
        """`limit` names the limit that was reached, where that is known better than by words."""
        super().__init__(message)
        self.limit = limit


class Clock(Record):
    """When an instance's time is over: `deadline` is a time of the monotonic clock."""

    deadline: float = math.inf

    @classmethod
    def after(cls, seconds: float) -> Clock:
        """A clock that starts now."""
        return cls(time.monotonic() + seconds)

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.deadline


class Epochs:
    """The epochs of one engine. `increment` ends one of them; it may be called in any thread."""

    def __init__(self, increment: Callable[[], None]) -> None:
        self._increment = increment
        self._began = 0.0
        self._passed = 0
        self.guests = 0
        """How many run that have a deadline."""

    @contextmanager
    def limited(self, clock: Clock, set_deadline: Callable[[int], None]) -> Iterator[None]:
        """The block runs a guest, which is interrupted when its clock says so.

        `set_deadline` tells the guest's store how many epochs it has. Raises Trapped when the
        time is over already.
        """
        if clock.deadline == math.inf:
            set_deadline(_NEVER)
            yield
            return
        with _alarm.set(self, clock, set_deadline):
            # an epoch that ended before the store heard of it interrupts nothing
            if clock.over:
                raise Trapped("the time is over")
            yield

    def until(self, deadline: float) -> int:
        """How many epochs end before `deadline`, at least one. Under the alarm's lock."""
        if not self.guests:  # nobody was there to see how much time went by
            self._began = time.monotonic() - self._passed * EPOCH
        return max(1, math.ceil((deadline - self._began) / EPOCH) - self._passed)

    def advance(self, deadline: float) -> None:
        """End every epoch before `deadline`. Under the alarm's lock."""
        for _ in range(self.until(deadline)):
            self._increment()
            self._passed += 1


class _Alarm:
    """One daemon thread of this process, started with the first deadline."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._set: dict[object, tuple[float, Epochs]] = {}
        self._wakes = math.inf
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Have the thread running."""
        with self._changed:
            # a process that was forked off has no threads but one
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._watch, daemon=True)
                self._thread.start()

    @contextmanager
    def set(
        self, epochs: Epochs, clock: Clock, set_deadline: Callable[[int], None]
    ) -> Iterator[None]:
        """While the block runs, `epochs` advance when the clock's time is over."""
        self.start()
        entry = object()
        with self._changed:
            # both counts are as of now: nothing advances under the lock
            set_deadline(epochs.until(clock.deadline))
            epochs.guests += 1
            self._set[entry] = clock.deadline, epochs
            if clock.deadline < self._wakes:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                epochs.guests -= 1
                del self._set[entry]

    def _watch(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                self._wakes = math.inf
                for entry, (deadline, epochs) in list(self._set.items()):
                    if deadline <= now:
                        epochs.advance(deadline)
                        self._set[entry] = math.inf, epochs
                    else:
                        self._wakes = min(self._wakes, deadline)
                patience = min(self._wakes - now, threading.TIMEOUT_MAX)
                self._changed.wait(patience)


_alarm = _Alarm()


def prepare_alarm() -> None:
    """Start the thread ahead of the first guest, while there is time."""
    _alarm.start()


class Runtime:
    """What the guests of one command share: limits, unless an instance has its own, and cache."""

    def __init__(
        self,
        limits: Limits,
        cache: Cache | None = None,
        compiling: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        admit: Callable[[Path, bytes], None] | None = None,
        many: bool = False,
    ) -> None:
        """Only with a limit of fuel are instructions counted, and may an instance have another.

        The compiler runs within `compiling`, if it is needed at all; `admit` is asked before about
        a program's file and bytes. With `many` core modules are made ready for thousands of
        instances, one at a time, whose output is kept; where a module cannot be, it runs as ever.
        """
        self.admit = admit
        self.many = many
        self.limits = limits
        self.compiling = compiling
        self.cache = cache or Cache(None)

    @property
    def configuration(self) -> str:
        """The settings of engines that machine code depends on."""
        return "epochs" if self.limits.fuel is None else "epochs, fuel"
