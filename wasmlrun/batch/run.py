"""The batch itself: pictures go to the children ahead of need, rows are written in their order."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from typing import Protocol

from wasmlrun.batch import rows
from wasmlrun.batch.item import Item
from wasmlrun.batch.journal import Journal
from wasmlrun.batch.progress import Progress
from wasmlrun.batch.rows import Row
from wasmlrun.pipeline.telling import combined
from wasmlrun.support.errors import EXIT_OK, UsageFault, WasmlrunError
from wasmlrun.support.in_order import in_order
from wasmlrun.support.limits import MIB
from wasmlrun.support.messages import one_line

AHEAD = 8
"""Pictures a job that are on their way at the same time: a slow one keeps no child waiting."""
MOST_HELD = 256 * MIB
"""Bytes of pictures in memory, of sources that have no files to read later."""
_TOLD = 10
"""Errors that are told one by one; all are in the rows."""


class Team(Protocol):
    """What makes a row of a picture, from several threads at a time."""

    def row(self, item: Item) -> Row:
        """The row. Raises Hopeless when no picture can be classified."""

    def close(self) -> None:
        """End whatever it is at."""


class TooManyErrors(WasmlrunError):
    """More pictures failed than the user wants to see fail."""

    code = "too-many-errors"

    def __init__(self, most: int, exit_code: int) -> None:
        super().__init__(
            f"more than {most} pictures failed", "--resume with a larger --max-errors goes on"
        )
        vars(self).update(exit_code=exit_code)


class Tally:
    """What the rows so far come to."""

    def __init__(self) -> None:
        self.done = 0
        self.errors = 0
        self.code = EXIT_OK
        """Of the first failure."""

    def count(self, row: Row) -> None:
        """There is one row more."""
        self.add(rows.exit_code(row))

    def add(self, code: int) -> None:
        """There is one row more, with this exit code."""
        self.done += 1
        self.errors += code != EXIT_OK
        self.code = combined(self.code, code)


def skip_done(journal: Journal, items: Iterator[Item], tally: Tally) -> None:
    """Leave out what an earlier run has done, of which the rows are there.

    Raises:
        UsageFault: the pictures are others than then.
    """
    with closing(journal.done()) as done:
        for row in done:
            item = next(items, None)
            now = None if item is None else item.name
            if item is None or now != row.get("image") or item.source != row.get("source"):
                raise UsageFault(
                    f"the pictures are others than when the batch began: number {tally.done + 1} "
                    f"was {row.get('image')} and is {now or 'not there'}",
                    "put them back as they were, or begin anew with --overwrite",
                )
            tally.count(row)


def classified(items: Iterable[Item], team: Team, jobs: int) -> Generator[Row, None, None]:
    """The rows of the items, in their order.

    Raises:
        Hopeless: no picture can be classified.
    """
    # twice as many as there are children: one reads a file while another waits for its answer
    answers = in_order(
        team.row,
        items,
        2 * jobs,
        ahead=AHEAD * jobs,
        weight=lambda item: item.held,
        most=MOST_HELD,
        on_leaving=team.close,  # else its threads wait for their answers
    )
    with closing(answers):
        for _, row in answers:
            yield row


def keep(
    rows: Generator[Row, None, None],
    journal: Journal,
    tally: Tally,
    progress: Progress,
    *,
    max_errors: int | None = None,
) -> None:
    """Write the rows as they come.

    Raises:
        TooManyErrors: so many failed; their rows are written. OSError: rows cannot be written.
    """
    with closing(rows):
        for row in rows:
            journal.add(row)
            tally.count(row)
            _tell(row, tally, progress)
            if max_errors is not None and tally.errors > max_errors:
                raise TooManyErrors(max_errors, tally.code)


def _tell(row: Row, tally: Tally, progress: Progress) -> None:
    error = row.get("error")
    if error is not None and tally.errors <= _TOLD:
        progress.say(f"error: {one_line(error['message'])}")
        if tally.errors == _TOLD:
            progress.say("further errors are in the rows alone")
    progress.at(tally.done, tally.errors)
