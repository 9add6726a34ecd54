"""Rows as Parquet: the same fields as in JSON, predictions as a list of records."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any

from wasmlrun.batch.parquet import pyarrow
from wasmlrun.batch.rows import Row

GROUP = 10_000
"""Rows of a group, and of those that are in memory at a time."""


def schema() -> Any:
    """The columns. Raises UsageFault without pyarrow."""
    pa = pyarrow()
    text = pa.string()
    ranked = pa.struct([("index", pa.int32()), ("label", text), ("score", pa.float64())])
    return pa.schema(
        [
            ("schema", pa.int32()),
            ("image", text),
            ("source", text),
            ("worker", text),
            ("model", text),
            ("predictions", pa.list_(ranked)),
            ("sure", pa.bool_()),
            ("timings_ms", pa.map_(text, pa.float64())),
            ("error", pa.struct([("code", text), ("message", text), ("hint", text)])),
        ]
    )


def write(rows: Iterable[Row], path: Path) -> None:
    """Write the rows, a group at a time. Raises UsageFault without pyarrow, OSError."""
    pa, columns = pyarrow(), schema()
    import pyarrow.parquet as pq

    remaining = iter(rows)
    with pq.ParquetWriter(path, columns, compression="zstd") as file:
        while group := list(islice(remaining, GROUP)):
            file.write_table(pa.Table.from_pylist(list(map(_record, group)), schema=columns))


def _record(row: Row) -> dict[str, Any]:
    timings = row.get("timings_ms")
    return {**row, "timings_ms": None if timings is None else list(timings.items())}
