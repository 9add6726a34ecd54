"""Whether an answer is right: the labels of a result against the names that the truth uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from wasmlrun.figures.names import MOST, Vocabulary, plain
from wasmlrun.figures.rows import Row
from wasmlrun.figures.truth import Truth
from wasmlrun.support.errors import BadFile


class Verdict(NamedTuple):
    """What is to be said of one row whose truth is known."""

    truth: str
    """The class that the picture shows."""
    given: str | None
    """The class of the first guess, under the truth's name for it; None where there is none."""
    rank: int | None
    """The right class's place among the guesses, from 0; None where it has none."""

    @property
    def right(self) -> bool:
        """Whether the first guess is."""
        return self.rank == 0


class Judge:
    """Knows what every name means, because it has read the results once."""

    def __init__(self, results: Iterable[Iterable[Row]], truth: Truth) -> None:
        """Read the results whose answers will be judged.

        Raises:
            BadFile: none of their pictures is in the truth, or no label is one of its names.
        """
        self._truth = truth
        self._labels = Vocabulary()
        names: dict[str, None] = {}
        for rows in results:
            for row in rows:
                for guess in row.guesses:
                    self._labels.add(guess.class_index, guess.label)
                name = truth.of(row.image) if row.image else None
                if name is not None:
                    names[name] = None
                    if len(names) > MOST:
                        raise BadFile(f"the truth has more than {MOST} different names")
        if not names:
            raise BadFile(
                "the truth says nothing of any picture of the result",
                "does its table name the pictures as the result does, from the end on?",
            )
        self._class_of: dict[str, str] = {}
        self._taken: dict[str, str] = {}
        self.unknown = self._settle(names)
        """Names that no label is called by: nobody ever guessed them."""
        if len(self.unknown) == len(names):
            raise BadFile(
                f"no label of the result is called {_few(self.unknown)}, as the truth has it",
                "are these the names of this model's labels?",
            )

    def _settle(self, names: Iterable[str]) -> list[str]:
        classes: dict[frozenset[str], str] = {}
        unknown = []
        for name in names:
            meant = self._labels.meant(name)
            if not meant:
                unknown.append(name)
            # names that mean the same labels, or differ in nothing that counts, are one class
            own = classes.setdefault(meant or frozenset(("", plain(name))), name)
            self._class_of[name] = own
            for label in meant:
                self._taken.setdefault(label, own)
        return unknown

    def verdict(self, row: Row) -> Verdict | None:
        """None where the truth says nothing of the picture."""
        name = self._truth.of(row.image) if row.image else None
        if name is None:
            return None
        truth = self._class_of[name]
        if not row.guesses:
            return Verdict(truth, None, None)
        meant = self._labels.meant(name)
        rank = next((n for n, guess in enumerate(row.guesses) if guess.label in meant), None)
        first = row.guesses[0].label
        given = truth if rank == 0 else self._taken.get(first, first)
        return Verdict(truth, given, rank)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" or {len(names) - 3} more" if len(names) > 3 else "")
