"""Rows as CSV: a line a picture, its predictions side by side, best first."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from wasmlrun.batch.rows import Row

FIXED = ("image", "source", "worker", "model")
FAILURE = ("code", "message", "hint")
_EACH = ("label", "score", "index")


def columns(top: int) -> list[str]:
    """The names of the columns for so many predictions."""
    ranked = [f"{name}_{rank}" for rank in range(1, top + 1) for name in _EACH]
    return [*FIXED, *ranked, "sure", "total_ms", *(f"error_{name}" for name in FAILURE)]


def write(rows: Iterable[Row], path: Path, top: int) -> None:
    """Write the rows, UTF-8, with a line of names. Raises OSError."""
    with path.open("w", encoding="utf-8", newline="") as file:
        lines = csv.DictWriter(file, columns(top), restval="")
        lines.writeheader()
        lines.writerows(map(_line, rows))


def _line(row: Row) -> dict[str, object]:
    line: dict[str, object] = {name: row.get(name) for name in FIXED}
    for rank, prediction in enumerate(row.get("predictions", ()), 1):
        line |= {f"{name}_{rank}": prediction[name] for name in _EACH}
    if "sure" in row:
        line["sure"] = "true" if row["sure"] else "false"
    line["total_ms"] = row.get("timings_ms", {}).get("total")
    line |= {f"error_{name}": value for name, value in row.get("error", {}).items()}
    return {name: "" if value is None else value for name, value in line.items()}
