"""Rows as CSV: a line a picture, its predictions side by side, best first."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
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


def read(lines: Iterable[str]) -> Iterator[Row]:
    """The rows of such a file, as JSON has them. Raises ValueError, csv.Error: it is none."""
    table = csv.DictReader(lines)
    if not set(FIXED) <= set(table.fieldnames or ()):
        raise ValueError("it has other columns")
    for line in table:
        yield _row(line)


def _row(line: dict[str, str]) -> Row:
    row: dict[str, object] = {"schema": 1, "image": line["image"], "source": line["source"]}
    if line.get("error_code"):
        error = {name: line.get(f"error_{name}") or None for name in FAILURE}
        return {**row, "error": error}
    predictions = []
    rank = 1
    while line.get(f"score_{rank}"):
        index = line.get(f"index_{rank}")
        predictions.append(
            {
                "index": int(index) if index else None,
                "label": line[f"label_{rank}"],
                "score": float(line[f"score_{rank}"]),
            }
        )
        rank += 1
    row |= {"worker": line["worker"], "model": line["model"] or None, "predictions": predictions}
    if line.get("total_ms"):
        row["timings_ms"] = {"total": float(line["total_ms"])}
    if line.get("sure"):
        row["sure"] = line["sure"] == "true"
    return row
