"""Python objects that wasmtime knows by a number and gives back when it is done with them."""

from __future__ import annotations

import itertools
from typing import Generic, TypeVar

from wasmlrun.wasmtime_c.capi import Finalizer

T = TypeVar("T")


class Registry(Generic[T]):
    """Objects by number. Each step is one operation of a dict, so threads need no lock."""

    def __init__(self) -> None:
        self._kept: dict[int, T] = {}
        # from 1: C gives the number 0 back as None
        self._numbers = itertools.count(1)
        self.finalizer = Finalizer(self._release)
        """What wasmtime calls with a number when it is done with the object."""

    def keep(self, item: T) -> int:
        """Keep an object until wasmtime lets go of it; its number."""
        number = next(self._numbers)
        self._kept[number] = item
        return number

    def __getitem__(self, number: int) -> T:
        return self._kept[number]

    def _release(self, number: int | None) -> None:
        self._kept.pop(number or 0, None)
