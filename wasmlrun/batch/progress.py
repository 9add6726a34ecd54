"""How a batch goes, told on stderr: a bar with rate and time left on a terminal, else lines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from wasmlrun.support import bars
from wasmlrun.support.messages import Messages, printable

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

LINE_SECONDS = 10.0
"""Between two lines, where there is no terminal."""


class Progress(Protocol):
    """Is told how far the batch is."""

    total: int | None
    """How many pictures there are, as soon as that is known."""

    def at(self, done: int, errors: int) -> None:
        """So many rows are there, so many of them errors."""

    def say(self, text: str) -> None:
        """A line of its own."""


@contextmanager
def watching(messages: Messages, begun_with: int) -> Iterator[Progress]:
    """Progress that fits where stderr goes; `begun_with` rows were there before."""
    if messages.verbosity < 0 or not messages.stream.isatty():
        yield Lines(messages, begun_with)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}", markup=False),
        Remaining(),
        TextColumn("{task.fields[errors]}", markup=False),
    )
    with Progress(*columns, console=bars.console(messages.stream)) as bar:
        yield Bar(bar, begun_with)


class Pace:
    """Pictures a second since the beginning, without those of an earlier run."""

    def __init__(self, begun_with: int) -> None:
        self._begun_with = begun_with
        self.started = time.monotonic()

    def rate(self, done: int) -> float:
        """A second, on the average."""
        return (done - self._begun_with) / max(1e-9, time.monotonic() - self.started)


class Lines:
    """A line now and then: logs and pipes have no place for more."""

    def __init__(self, messages: Messages, begun_with: int) -> None:
        self.total: int | None = None
        self._messages = messages
        self._pace = Pace(begun_with)
        self._told = self._pace.started

    def at(self, done: int, errors: int) -> None:
        """A line, if the last one is old enough."""
        now = time.monotonic()
        if now - self._told < LINE_SECONDS:
            return
        self._told = now
        rate = self._pace.rate(done)
        of = f" of {self.total:,}" if self.total is not None else ""
        left = ""
        if self.total is not None and rate > 0:
            left = f", {duration((self.total - done) / rate)} left"
        self._messages.info(f"{done:,}{of} pictures, {rate:.0f} a second{left}{_errors(errors)}")

    def say(self, text: str) -> None:
        """A line of text at once."""
        self._messages.info(text)


class Bar:
    """A bar of rich's that moves."""

    def __init__(self, bar: RichProgress, begun_with: int) -> None:
        self.total: int | None = None
        self._bar = bar
        self._pace = Pace(begun_with)
        self._task = bar.add_task("", total=None, completed=begun_with, rate="", errors="")

    def at(self, done: int, errors: int) -> None:
        """Move it to where the batch is."""
        rate = f"{self._pace.rate(done):.0f} a second"
        self._bar.update(
            self._task, total=self.total, completed=done, rate=rate, errors=_errors(errors)
        )

    def say(self, text: str) -> None:
        """A line above the bar."""
        self._bar.console.print(printable(text), markup=False)


def duration(seconds: float) -> str:
    """Seconds as people say them: 45 s, 3 min, 2 h 5 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _errors(errors: int) -> str:
    return f", {errors:,} error{'' if errors == 1 else 's'}" if errors else ""
