"""What RESULT is written as: its suffix says which form, and each form is made of the rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wasmlrun.batch.journal import Journal
from wasmlrun.support.errors import UsageFault

JSON_LINES = (".jsonl", ".ndjson", ".json")


def writer_for(result: Path) -> Callable[[Journal], None]:
    """What finishes a journal, by RESULT's suffix. Raises UsageFault when there is no such form."""
    if result.suffix.lower() in JSON_LINES:
        return as_json_lines
    raise UsageFault(
        f"{result} has no suffix that says its form", f"end it in {', '.join(JSON_LINES)}"
    )


def as_json_lines(journal: Journal) -> None:
    """The journal's rows are RESULT as they are."""
    journal.finish(journal.rows)
