"""What RESULT is written as: its suffix says which form, and each form is made of the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wasmlrun.batch.journal import Journal
from wasmlrun.support.errors import UsageFault

JSON_LINES = (".jsonl", ".ndjson", ".json")
SUFFIXES = (*JSON_LINES, ".csv", ".parquet")


def writer_for(result: Path, top: int) -> Callable[[Journal], None]:
    """What finishes a journal, by RESULT's suffix; `top` predictions a row are in it.

    Raises:
        UsageFault: there is no such form, or what it needs is not installed.
    """
    suffix = result.suffix.lower()
    if suffix in JSON_LINES:
        return lambda journal: journal.finish(journal.rows)
    if suffix == ".csv":
        from wasmlrun.batch.sinks import csv_file

        return lambda journal: _made(journal, lambda to: csv_file.write(journal.all(), to, top))
    if suffix == ".parquet":
        from wasmlrun.batch.sinks import parquet_file

        parquet_file.schema()  # told before the work
        return lambda journal: _made(journal, lambda to: parquet_file.write(journal.all(), to))
    raise UsageFault(
        f"{result} has no suffix that says its form", f"end it in {', '.join(SUFFIXES)}"
    )


def _made(journal: Journal, write: Callable[[Path], None]) -> None:
    whole = journal.folder / "result"
    write(whole)
    journal.finish(whole)
