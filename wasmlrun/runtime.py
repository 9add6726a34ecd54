"""The WebAssembly engine of one command, with its limits, its cache and its clock."""

from __future__ import annotations

import threading
import time

from wasmtime import Config, Engine, Store

from wasmlrun.cache import Cache
from wasmlrun.limits import Limits


class Runtime:
    """The WebAssembly engine and the clock that interrupts its guests."""

    def __init__(self, limits: Limits, cache: Cache | None = None) -> None:
        config = Config()
        config.epoch_interruption = True
        self.configuration = "epochs"
        if limits.fuel is not None:
            config.consume_fuel = True
            self.configuration += ", fuel"
        self.engine = Engine(config)
        self.limits = limits
        self.cache = cache or Cache(None)
        self._timed_out = threading.Event()

    def new_store(self) -> Store:
        """A store for one instance, with the limits that the engine itself enforces."""
        limits = self.limits
        store = Store(self.engine)
        store.set_limits(
            memory_size=limits.memory, table_elements=limits.table, instances=limits.instances
        )
        if limits.fuel is not None:
            store.set_fuel(limits.fuel)
        # the first tick of the epoch ends the guest; none comes before the time is over
        store.set_epoch_deadline(1)
        return store

    @property
    def timed_out(self) -> bool:
        """Whether the time is over."""
        return self._timed_out.is_set()

    def start_clock(self, deadline: float) -> None:
        """Interrupt guests at `deadline`, a time of the monotonic clock."""

        def ring() -> None:
            time.sleep(max(0.0, deadline - time.monotonic()))
            self._timed_out.set()
            self.engine.increment_epoch()

        threading.Thread(target=ring, daemon=True).start()
