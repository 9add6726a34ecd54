"""Answers about models on stdout: a table, tab-separated lines, or JSON Lines.

As in `wasmlrun.report.answers`, every form shows the same facts of the same objects.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from wasmlrun.models.progress import size_text
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.messages import printable
from wasmlrun.support.tensor import describe

if TYPE_CHECKING:
    from wasmlrun.models.catalogue import Entry
    from wasmlrun.models.info import ModelInfo, PortInfo
    from wasmlrun.models.store import Checked

SCHEMA = 1
NO_COUNT = "the constants of this file cannot be counted"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an answer: as JSON, and as what a person reads."""

    record: Mapping[str, Any]
    cells: Sequence[str]


class Report(Protocol):
    """Where answers go."""

    def rows(self, rows: Sequence[Row]) -> None:
        """A list."""

    def facts(self, record: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
        """Everything about one thing: its JSON object, and the same as named lines."""

    def failure(self, name: str | None, error: WasmlrunError) -> None:
        """A model, or with None the whole command, failed."""


def choose(as_json: bool, stream: TextIO | None = None) -> Report:
    """JSON Lines if asked, a table on a terminal, tab-separated lines otherwise."""
    out = stream if stream is not None else sys.stdout
    if as_json:
        return JsonReport(out)
    return TableReport(out) if out.isatty() else PlainReport(out)


class JsonReport:
    """One JSON object a line; the keys are a contract under `schema`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def rows(self, rows: Sequence[Row]) -> None:
        """One object a row."""
        for row in rows:
            self._line(row.record)

    def facts(self, record: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
        """The object."""
        self._line(record)

    def failure(self, name: str | None, error: WasmlrunError) -> None:
        """`name` and `error` with `code`, `message`, `hint`."""
        told = {"code": error.code, "message": error.message, "hint": error.hint}
        self._line({"name": name, "error": told})

    def _line(self, record: Mapping[str, Any]) -> None:
        text = json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False)
        print(text, file=self._stream, flush=True)


class PlainReport:
    """Cells with tabs between them, for other programs."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def rows(self, rows: Sequence[Row]) -> None:
        """One line a row."""
        for row in rows:
            self._line(row.cells)

    def facts(self, record: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
        """One line a fact, its name first."""
        for line in lines:
            self._line(line)

    def failure(self, name: str | None, error: WasmlrunError) -> None:
        """Failures are told on stderr only."""

    def _line(self, cells: Sequence[str]) -> None:
        text = "\t".join(printable(cell, keep="") for cell in cells)
        print(text, file=self._stream, flush=True)


class TableReport:
    """Columns as wide as they must be."""

    def __init__(self, stream: TextIO) -> None:
        # only here: a pipe or --json needs no rich
        from rich.console import Console

        self._console = Console(file=stream, highlight=False)

    def rows(self, rows: Sequence[Row]) -> None:
        """One table, the first column in bold."""
        self._table([row.cells for row in rows])

    def facts(self, record: Mapping[str, Any], lines: Sequence[tuple[str, str]]) -> None:
        """One table, the names in bold."""
        self._table(lines)

    def failure(self, name: str | None, error: WasmlrunError) -> None:
        """Failures are told on stderr only."""

    def _table(self, lines: Sequence[Sequence[str]]) -> None:
        from rich.table import Table
        from rich.text import Text

        if not lines:
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in lines[0]:
            table.add_column(overflow="fold")
        for first, *others in lines:
            cells = [Text(printable(cell, keep="")) for cell in others]
            table.add_row(Text(printable(first, keep=""), style="bold"), *cells)
        self._console.print(table)


def listed(
    name: str, state: str, size: int | None, licence: str, description: str, *, own: bool = False
) -> Row:
    """A model of `models list`."""
    record = {
        "name": name,
        "state": state,
        "size": size,
        "licence": licence or None,
        "description": description,
        "own": own,
    }
    shown = "" if size is None else size_text(size)
    return Row(record, (name, state, shown, licence, description))


def placed(name: str, state: str, folder: Path) -> Row:
    """A model that was pulled, added, removed, or was there."""
    return Row({"name": name, "state": state, "path": str(folder)}, (name, state, str(folder)))


def path(name: str, folder: Path) -> Row:
    """Where a model is."""
    return Row({"name": name, "path": str(folder)}, (str(folder),))


def locked(file: Path, digest: str) -> Row:
    """A model file that a manifest was pinned to."""
    return Row({"file": str(file), "sha256": digest}, (str(file), digest))


def checked(result: Checked) -> Row:
    """What the digest of one file says."""
    record = {
        "name": result.model,
        "file": result.file,
        "state": result.state,
        "expected": result.expected,
        "found": result.found,
    }
    return Row(record, (result.model, result.file, result.state))


def described(
    name: str | None,
    state: str | None,
    where: Path | None,
    entry: Entry | None,
    info: ModelInfo | None,
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What `models info` tells: as much as is known of a name, a file, or both."""
    record: dict[str, Any] = {}
    lines: list[tuple[str, str]] = []
    place = None if where is None else str(where)
    for key, value in (("name", name), ("state", state), ("path", place)):
        if value is not None:
            record[key] = value
            lines.append((key, value))
    if entry is not None:
        for key in ("description", "licence", "source"):
            record[key] = getattr(entry, key) or None
            if record[key]:
                lines.append((key, record[key]))
        record["files"] = [
            {"name": f.name, "address": f.address, "size": f.size, "sha256": f.sha256}
            for f in entry.files
        ]
        for file in entry.files:
            size = "" if file.size is None else f" ({size_text(file.size)})"
            lines.append(("file", f"{file.name}{size} {file.address}"))
    if info is not None:
        _describe(info, record, lines)
    return record, lines


def _describe(info: ModelInfo, record: dict[str, Any], lines: list[tuple[str, str]]) -> None:
    record["format"] = info.format.value
    record["inputs"] = [_port(p) for p in info.inputs]
    record["outputs"] = [_port(p) for p in info.outputs]
    lines.append(("format", info.format.value))
    for key, ports in (("input", info.inputs), ("output", info.outputs)):
        for p in ports:
            layout = f", {p.layout}" if p.layout else ""
            text = f"{p.port.name} {describe(p.port.shape, p.port.dtype)}{layout}"
            lines.append((key, text))
    if info.parameters is not None:
        record["parameters"] = info.parameters
        lines.append(("parameters", f"{info.parameters:,}"))
    else:
        record["parameters_note"] = NO_COUNT
        lines.append(("parameters", NO_COUNT))
    record["size"] = info.size
    record["sha256"] = info.sha256
    lines.append(("size", f"{info.size} bytes ({size_text(info.size)})"))
    lines.append(("sha256", info.sha256))


def _port(info: PortInfo) -> dict[str, Any]:
    port = info.port
    found: dict[str, Any] = {
        "name": port.name,
        "shape": [None if size < 0 else size for size in port.shape],
        "dtype": port.dtype.value,
    }
    if info.layout is not None:
        found["layout"] = info.layout
    return found
