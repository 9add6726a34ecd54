"""The rows of a result, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from wasmlrun.batch.rows import Row
from wasmlrun.support.errors import BadFile

_LONGEST = 1 << 24


def read(result: Path) -> Iterator[Row]:
    """The rows of a file that `wasmlrun batch` wrote, one after the other, as JSON has them.

    Raises:
        BadFile: there is no such file, or it holds something else.
    """
    try:
        with result.open("rb") as lines:
            number = 0
            while line := lines.readline(_LONGEST):
                number += 1
                yield _row(line, result, number)
    except OSError as e:
        raise BadFile(f"result {result} cannot be read: {e.strerror}") from e


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
