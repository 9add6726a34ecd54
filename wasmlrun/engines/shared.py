"""A model of a native library that a graph and its contexts share."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

P = TypeVar("P")


class SharedModel(Generic[P]):
    """A loaded model, freed with the last of those that use it; who makes it is the first."""

    def __init__(self, pointer: P, free: Callable[[P], object]) -> None:
        self.pointer = pointer
        self._free = free
        self._users = 1
        self._lock = threading.Lock()

    def share(self) -> None:
        """One more uses it."""
        with self._lock:
            self._users += 1

    def release(self) -> None:
        """One of them is done with it."""
        with self._lock:
            self._users -= 1
            last = not self._users
        if last:
            self._free(self.pointer)
