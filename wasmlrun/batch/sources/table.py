"""A table whose rows name pictures, or hold them: CSV, Parquet. It is read in a child."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.parquet import pyarrow
from wasmlrun.batch.sources.archived import MAX_MEMBER_BYTES
from wasmlrun.support.errors import BadFile, BadImage

PATHS = ("image", "path", "file", "filename", "file_name", "image_path")
"""Names of a column of paths, the first that is there is taken."""
BYTES = ("image", "bytes", "data", "jpg", "png", "image_bytes", "content")
"""Names of a column of pictures' bytes."""
_ROWS = 64


def from_csv(path: Path, source: str, skip: int = 0) -> Iterator[Item]:
    """The pictures that a CSV or TSV file names, from its own folder on.

    Raises:
        BadFile: it cannot be read, or has no column of paths.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            lines = csv.DictReader(file, delimiter=separator)
            column = _column(path, lines.fieldnames or (), PATHS)
            for line in lines:
                where = path.parent / (line[column] or "")
                yield Item(shown(str(where)), source, where)
    except csv.Error as e:
        raise BadFile(f"table {path} cannot be read: {e}") from e
    except OSError as e:
        raise BadFile(f"table {path} cannot be read: {e.strerror}") from e


def from_parquet(path: Path, source: str, skip: int = 0) -> Iterator[Item]:
    """The pictures of a Parquet file: a column of paths, from its own folder on, or of bytes,
    also in the form {bytes, path} of Hugging Face's data sets. The first `skip` without bytes.

    Raises:
        BadFile: it cannot be read, or has no such column. UsageFault: pyarrow is not installed.
    """
    pa = pyarrow()
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            columns = file.schema_arrow
            column = _column(path, columns.names, (*PATHS, *BYTES))
            number = 0
            for group in file.iter_batches(_ROWS, columns=[column]):
                for value in group.column(0):
                    number += 1
                    yield _cell(path, source, number, value.as_py(), without=number <= skip)
    except pa.ArrowException as e:
        raise BadFile(f"table {path} cannot be read: {str(e).splitlines()[0]}") from e
    except OSError as e:
        raise BadFile(f"table {path} cannot be read: {e.strerror or e}") from e


def _cell(path: Path, source: str, number: int, value: Any, *, without: bool) -> Item:
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, str):
        return Item(shown(str(path.parent / value)), source, path.parent / value)
    name = f"{source}#{number}"
    if not isinstance(value, bytes):
        return Item(name, source, fault=BadImage(f"image {name} is not there: the cell is empty"))
    if len(value) > MAX_MEMBER_BYTES:
        fault = BadImage(f"image {name} has more than {MAX_MEMBER_BYTES} bytes")
        return Item(name, source, fault=fault)
    return Item(name, source, data=b"" if without else value)


def _column(path: Path, names: Any, wanted: tuple[str, ...]) -> str:
    for name in wanted:
        if name in names:
            return name
    raise BadFile(
        f"table {path} has no column of pictures",
        f"name it one of {', '.join(dict.fromkeys(wanted))}",
    )
