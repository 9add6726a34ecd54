"""What is fuzzed: a maker of inputs and a way to feed one to the program."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Generic, TypeVar, cast

T = TypeVar("T")

ACCEPTED = "accepted"
REFUSED = "refused"


class Broken(AssertionError):
    """The program did what it must never do with any input."""


class Target(ABC, Generic[T]):
    """One kind of input. Everything about an input follows from its seed."""

    name: str
    seconds: float = 20.0
    """How long one input may take before it counts as a hang."""
    data_limit: int | None = 4 << 30
    """Bytes of data a child may have (RLIMIT_DATA); more fails inside the child."""

    def __init__(self) -> None:
        self.tally: Counter[str] = Counter()
        """What the last input did, counted."""

    def begin(self, folder: Path) -> None:
        """In the child, before its first input: load engines, write files into the folder."""

    @abstractmethod
    def make(self, random: Random) -> T:
        """An input."""

    @abstractmethod
    def feed(self, value: T) -> str:
        """Give it to the program; ACCEPTED or REFUSED.

        Any exception that comes out of here is a failure: the program's clean errors are
        caught in here.
        """

    def read(self, data: bytes) -> T:
        """The input that these bytes are, whatever they are: for a fuzzer that makes them."""
        return cast("T", data)

    def written(self, value: T) -> bytes:
        """An input as such bytes."""
        assert isinstance(value, bytes)
        return value

    @abstractmethod
    def files(self, value: T) -> Mapping[str, bytes]:
        """The input as files, for whoever looks into a failure."""


def source(target: str, seed: int, number: int) -> Random:
    """The random source of one input."""
    return Random(f"{target}/{seed}/{number}")
