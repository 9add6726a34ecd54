"""What the guests of one command share: limits, cache and clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from wasmlrun.support.cache import Cache
from wasmlrun.support.limits import Limits


class Trapped(Exception):
    """An engine ended a guest; the message is the engine's own."""

    def __init__(self, message: str, limit: str | None = None) -> None:
        """`limit` names the limit that was reached, where that is known better than by words."""
        super().__init__(message)
        self.limit = limit


class Runtime:
    """Limits, cache, and the clock that interrupts guests."""

    def __init__(self, limits: Limits, cache: Cache | None = None) -> None:
        self.limits = limits
        self.cache = cache or Cache(None)
        self._timed_out = threading.Event()
        self._interrupts: list[Callable[[], None]] = []

    @property
    def configuration(self) -> str:
        """The settings of engines that machine code depends on."""
        return "epochs" if self.limits.fuel is None else "epochs, fuel"

    @property
    def timed_out(self) -> bool:
        """Whether the time is over."""
        return self._timed_out.is_set()

    def interrupts(self, interrupt: Callable[[], None]) -> None:
        """Have an engine's guests interrupted when the time is over."""
        self._interrupts.append(interrupt)
        if self.timed_out:
            interrupt()

    def check_time(self) -> None:
        """To be asked by an engine after a guest's deadline was set: only a later end of the
        time interrupts it. Raises Trapped.
        """
        if self.timed_out:
            raise Trapped("the time is over")

    def start_clock(self, deadline: float) -> None:
        """Interrupt guests at `deadline`, a time of the monotonic clock."""

        def ring() -> None:
            time.sleep(max(0.0, deadline - time.monotonic()))
            self._timed_out.set()
            for interrupt in self._interrupts:
                interrupt()

        threading.Thread(target=ring, daemon=True).start()
