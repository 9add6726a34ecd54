"""How a download goes, told on stderr: a bar on a terminal, a line a file elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmlrun.models.download import Watcher
from wasmlrun.support import bars
from wasmlrun.support.messages import Messages, printable
from wasmlrun.support.sizes import size_text

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def watching(messages: Messages) -> Iterator[Watcher]:
    """A watcher that fits where stderr goes."""
    if messages.verbosity < 0 or not messages.stream.isatty():
        yield Lines(messages)
        return
    # only here: no other way needs rich
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=bars.console(messages.stream)) as progress:
        yield Bars(progress)


class Lines:
    """A line when a file begins: logs and pipes have no place for more."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._begun: set[str] = set()

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Tell the name and the size once."""
        if name not in self._begun:
            self._begun.add(name)
            size = "" if total is None else f", {size_text(total)}"
            self._messages.info(f"fetching {name}{size}")

    def say(self, text: str) -> None:
        """A line of its own."""
        self._messages.info(text)


class Bars:
    """A bar a file."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def progress(self, name: str, done: int, total: int | None) -> None:
        """Move the file's bar."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(name, total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)

    def say(self, text: str) -> None:
        """A line above the bars."""
        self._progress.console.print(printable(text), markup=False)
