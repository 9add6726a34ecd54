"""What went wrong, by kind: counts, and an example of each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

MOST = 100
"""Kinds that are told apart; wasmlrun has far fewer."""
OTHERS = "others"


@dataclass(frozen=True, slots=True)
class Fault:
    """Rows with one error code."""

    code: str
    count: int
    example: str
    """The first one's sentence."""


class Faults:
    """Counts rows that have no answer."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def add(self, code: str, message: str) -> None:
        """One more of a kind."""
        known = code in self._counts or len(self._counts) < MOST
        kind = code if known else OTHERS
        self._counts[kind] += 1
        self._examples.setdefault(kind, message)

    def kinds(self) -> list[Fault]:
        """Each kind that there was, the commonest first."""
        found = [Fault(c, n, self._examples[c]) for c, n in self._counts.items()]
        return sorted(found, key=lambda fault: (-fault.count, fault.code))
