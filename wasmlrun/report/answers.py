"""Answers on stdout: a table, tab-separated lines, or JSON Lines, all from the same results.

Nothing else in the program writes answers to stdout.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from wasmlrun.pipeline.result import ImageResult, Report
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.messages import printable

SCHEMA = 1
BAR_WIDTH = 24


def choose(as_json: bool, stream: TextIO | None = None) -> Report:
    """JSON Lines if asked, a table on a terminal, tab-separated lines otherwise."""
    out = stream if stream is not None else sys.stdout
    if as_json:
        return JsonReport(out)
    return TableReport(out) if out.isatty() else PlainReport(out)


def write_raw(data: bytes) -> None:
    """Bytes that are an answer as they are, such as a response's body."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _write(stream: TextIO, text: str) -> None:
    """Write all at once: a crash elsewhere in the process leaves no half answer."""
    stream.write(text)
    stream.flush()


def _json(entry: Mapping[str, Any]) -> str:
    import json  # only here: lines and tables need none

    return json.dumps(entry, ensure_ascii=False)


def write_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Named facts: one JSON object, or `NAME<TAB>FACT` lines."""
    if as_json:
        print(_json({"schema": SCHEMA, **facts}), flush=True)
        return
    for name, fact in facts.items():
        print(f"{name}\t{printable(str(fact), keep='')}", flush=True)


def write_rows(rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Rows: one JSON object a line, or their fields with tabs between."""
    for row in rows:
        if as_json:
            print(_json({"schema": SCHEMA, **row}))
        else:
            print("\t".join(printable(str(field), keep="") for field in row.values()))
    sys.stdout.flush()


class JsonReport:
    """One JSON object a line; the keys are a contract under `schema`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def prepare(self) -> None:
        """Nothing."""

    def result(self, result: ImageResult) -> None:
        """`image`, `worker`, `model`, `predictions`, `timings_ms`, and `expected` if asked."""
        entry: dict[str, Any] = {
            "schema": SCHEMA,
            "image": result.image,
            "worker": result.worker,
            "model": result.model,
            "predictions": [
                {"index": p.index, "label": p.label, "score": p.score} for p in result.predictions
            ],
            "timings_ms": {name: round(ms, 2) for name, ms in result.timings_ms.items()},
        }
        if result.expectation is not None:
            entry["expected"] = {
                "labels": result.expectation.labels,
                "min_score": result.expectation.min_score,
                "met": result.expectation.met,
            }
        self._line(entry)

    def failure(self, image: str | None, error: WasmlrunError) -> None:
        """`image` and `error` with `code`, `message`, `hint`."""
        self._line(
            {
                "schema": SCHEMA,
                "image": image,
                "error": {"code": error.code, "message": error.message, "hint": error.hint},
            }
        )

    def _line(self, entry: Mapping[str, Any]) -> None:
        _write(self._stream, _json(entry) + "\n")


class PlainReport:
    """`IMAGE<TAB>LABEL<TAB>SCORE<TAB>INDEX`, one line a prediction."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def prepare(self) -> None:
        """Nothing."""

    def result(self, result: ImageResult) -> None:
        """The predictions, highest first."""
        lines = []
        for p in result.predictions:
            index = "" if p.index is None else str(p.index)
            fields = (result.image, p.label, f"{p.score:.4f}", index)
            lines.append("\t".join(printable(f, keep="") for f in fields) + "\n")
        _write(self._stream, "".join(lines))

    def failure(self, image: str | None, error: WasmlrunError) -> None:
        """Failures are told on stderr only."""


class TableReport:
    """A block of label, score and bar for each image."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def prepare(self) -> None:
        """Import what draws: only here, a pipe or --json needs no rich."""
        import rich.bar
        import rich.console
        import rich.table  # noqa: F401 - to be there when the result is

    def result(self, result: ImageResult) -> None:
        """The image's name, then one row a prediction."""
        from rich.bar import Bar
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(printable(result.image, keep=""), style="bold"),
            title_justify="left",
            box=None,
            pad_edge=False,
            show_header=False,
        )
        table.add_column("label", overflow="fold")
        table.add_column("score", justify="right", no_wrap=True)
        table.add_column("bar", width=BAR_WIDTH)
        for rank, p in enumerate(result.predictions):
            table.add_row(
                Text(printable(p.label, keep=""), style="bold" if rank == 0 else ""),
                Text(f"{p.score:.1%}" if 0 <= p.score <= 1 else f"{p.score:.4g}"),
                # of block characters, so that it is a bar without colours too
                Bar(1.0, 0.0, min(max(p.score, 0.0), 1.0), width=BAR_WIDTH, color="green"),
            )
        Console(file=self._stream, highlight=False).print(table)

    def failure(self, image: str | None, error: WasmlrunError) -> None:
        """Failures are told on stderr only."""
