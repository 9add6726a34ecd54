"""The rows of a result, read back."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from wasmlrun.batch.rows import Row
from wasmlrun.batch.sinks import csv_file, parquet_file
from wasmlrun.support.errors import BadFile

_LONGEST = 1 << 24


def read(result: Path) -> Iterator[Row]:
    """The rows of a file that `wasmlrun batch` wrote, one after the other, as JSON has them.

    Raises:
        BadFile: there is no such file, or it holds something else.
    """
    suffix = result.suffix.lower()
    try:
        if suffix == ".parquet":
            yield from parquet_file.read(result)
        elif suffix == ".csv":
            with result.open(encoding="utf-8", newline="") as text:
                yield from csv_file.read(text)
        else:
            with result.open("rb") as lines:
                number = 0
                while line := lines.readline(_LONGEST):
                    number += 1
                    yield _row(line, result, number)
    except OSError as e:
        raise BadFile(f"result {result} cannot be read: {e.strerror or e}") from e
    except (ValueError, csv.Error) as e:  # pyarrow's errors of content are such too
        raise BadFile(
            f"result {result} holds no rows: {str(e).splitlines()[0]}",
            "name a file that batch wrote",
        ) from e


def _row(line: bytes, result: Path, number: int) -> Row:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        row = None
    if not isinstance(row, dict) or not isinstance(row.get("image"), str):
        raise BadFile(
            f"result {result}, line {number}: this is no row", "name a file that batch wrote"
        )
    return row
