"""The rows of a result, one at a time: what `wasmlrun batch` and `classify --json` write."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, UsageFault

MAX_LINE = 1 << 24
"""Bytes of a row that is still read."""
_HINT = "a result is what wasmlrun batch, or wasmlrun classify --json, wrote"
_PARQUET = b"PAR1"
_PYARROW = "pip install 'wasmlrun[batch]'"


class Guess(NamedTuple):
    """One class of an answer."""

    class_index: int | None
    label: str
    score: float


class Row(NamedTuple):
    """What became of one picture. Many are read, so these are tuples."""

    image: str
    """Its name; empty where the whole command failed."""
    guesses: tuple[Guess, ...] = ()
    """The highest score first; none where it failed."""
    model: str = ""
    worker: str = ""
    milliseconds: float | None = None
    """From the picture's bytes to the labels."""
    error: str | None = None
    """The code of what went wrong."""
    message: str = ""


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a result in JSON Lines, CSV or Parquet, which its first bytes tell apart.

    One is held at a time, a Parquet file's by the batch.

    Raises:
        BadFile: there is no such file, or something in it is no row. UsageFault: a Parquet file
            and no pyarrow.
    """
    try:
        # it is read more than once: what is no regular file is told here
        with open(beneath.open_file(path), "rb") as file:  # noqa: PTH123 - a descriptor, no path
            first = file.read(4)
    except OSError as e:
        raise BadFile(f"result {path} cannot be read: {e.strerror}", "check the path") from e
    if first == _PARQUET:
        yield from _parquet(path)
    elif path.suffix.lower() == ".csv":
        yield from _csv(path)
    else:
        yield from _json_lines(path)


def _json_lines(path: Path) -> Iterator[Row]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(MAX_LINE + 1):
            number += 1
            if len(line) > MAX_LINE:
                raise _fault(path, number, f"it has more than {MAX_LINE} bytes")
            if not line.strip():
                continue
            try:
                found = json.loads(line)
            except (ValueError, RecursionError):
                cut = not line.endswith(b"\n")
                what = "it is no JSON" + (", and was not written to its end" if cut else "")
                raise _fault(path, number, what) from None
            yield _row(found, path, number)


def _csv(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        reader = csv.DictReader(file)
        try:
            for number, fields in enumerate(reader, 2):
                yield _row(_of_columns(fields), path, number)
        except csv.Error as e:
            raise _fault(path, reader.line_num, str(e)) from e


def _parquet(path: Path) -> Iterator[Row]:
    if find_spec("pyarrow") is None:
        raise UsageFault(f"result {path} is Parquet, which needs pyarrow", _PYARROW)
    import pyarrow as pa
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                for fields in batch.to_pylist():
                    number += 1
                    yield _row(_of_record(fields), path, number)
    except pa.ArrowException as e:
        raise BadFile(f"result {path} cannot be read: {e}", _HINT) from e


def _of_columns(fields: Mapping[str, str | None]) -> dict[str, Any]:
    """A line of CSV as the object that stands in a line of JSON: a class has three columns."""
    found: dict[str, Any] = {name: v for name, v in fields.items() if v not in (None, "")}
    if "error_code" in found:
        return {
            "image": found.get("image"),
            "error": {"code": found["error_code"], "message": found.get("error_message", "")},
        }
    listed: list[dict[str, Any]] = []
    while f"score_{len(listed) + 1}" in found:
        rank = len(listed) + 1
        score, index = found[f"score_{rank}"], found.get(f"index_{rank}")
        guess = {"label": found.get(f"label_{rank}", ""), "score": score, "index": index}
        with suppress(ValueError):  # told as what it is: no number
            guess.update(score=float(score), index=int(index) if index is not None else None)
        listed.append(guess)
    if listed or "image" in found:
        found["predictions"] = listed
    with suppress(KeyError, ValueError):  # a row may have no times
        found["timings_ms"] = {"total": float(found["total_ms"])}
    return found


def _of_record(fields: Mapping[str, Any]) -> dict[str, Any]:
    """A record of Parquet as such an object: what is null is not there, a map is pairs."""
    found = {name: value for name, value in fields.items() if value is not None}
    timings = found.get("timings_ms")
    if isinstance(timings, list):
        found["timings_ms"] = dict(timings)
    return found


def _row(found: Any, path: Path, number: int) -> Row:
    """A checked row. Raises BadFile."""
    try:
        return _checked(found)
    except _NoRowError as e:
        raise _fault(path, number, str(e)) from None


class _NoRowError(Exception):
    """Why something is no row."""


def _checked(found: Any) -> Row:
    if not isinstance(found, dict) or not ("image" in found or "error" in found):
        raise _NoRowError("it is no object with an image")
    image = found.get("image")
    if not isinstance(image, str | None):
        raise _NoRowError("its image is no name")
    error = found.get("error")
    if error is not None:
        if not isinstance(error, dict) or not isinstance(error.get("code"), str):
            raise _NoRowError("its error has no code")
        return Row(image or "", error=error["code"], message=str(error.get("message", "")))
    listed = found.get("predictions")
    if not isinstance(listed, list) or image is None:
        raise _NoRowError("it has neither predictions nor an error")
    timings = found.get("timings_ms")
    total = timings.get("total") if isinstance(timings, dict) else None
    return Row(
        image,
        tuple(map(_guess, listed)),
        str(found.get("model") or ""),
        str(found.get("worker") or ""),
        total if _is_number(total) else None,
    )


def _guess(found: Any) -> Guess:
    if not isinstance(found, dict):
        raise _NoRowError("a prediction has no label")
    label, score, index = found.get("label"), found.get("score"), found.get("index")
    if not isinstance(label, str):
        raise _NoRowError("a prediction has no label")
    if not _is_number(score):
        raise _NoRowError("a prediction's score is no number")
    if index is not None and type(index) is not int:
        raise _NoRowError("a prediction's index is no whole number")
    return Guess(index, label, score)


def _is_number(value: Any) -> TypeGuard[float]:
    # what is no number at all is not less than anything
    return type(value) in (float, int) and abs(value) < 1e300


def _fault(path: Path, number: int, what: str) -> BadFile:
    return BadFile(f"result {path}, row {number}: {what}", _HINT)
