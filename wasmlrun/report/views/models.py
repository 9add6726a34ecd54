"""Answers of `wasmlrun models`: every form shows the same facts of the same objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.models.progress import size_text
from wasmlrun.report.answer import Answer, Table
from wasmlrun.support.tensor import describe

if TYPE_CHECKING:
    from wasmlrun.models.catalogue import Entry
    from wasmlrun.models.info import ModelInfo, PortInfo
    from wasmlrun.models.store import Checked

NO_COUNT = "the constants of this file cannot be counted"
Line = tuple[dict[str, Any], Sequence[str]]
"""A JSON object, and the cells that a person reads."""


def answer(lines: Sequence[Line]) -> Answer:
    """A list: one object or one line each."""
    cells = [cells for _, cells in lines]
    return Answer([record for record, _ in lines], cells, Table(cells))


def facts(record: dict[str, Any], lines: Sequence[tuple[str, str]]) -> Answer:
    """Everything about one thing: its object, and the same as lines with names."""
    return Answer([record], lines, Table(lines))


def listed(
    name: str, state: str, size: int | None, licence: str, description: str, *, own: bool = False
) -> Line:
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
    return record, (name, state, shown, licence, description)


def placed(name: str, state: str, folder: Path) -> Line:
    """A model that was pulled, added, removed, or was there."""
    return {"name": name, "state": state, "path": str(folder)}, (name, state, str(folder))


def path(name: str, folder: Path) -> Line:
    """Where a model is."""
    return {"name": name, "path": str(folder)}, (str(folder),)


def locked(file: Path, digest: str) -> Line:
    """A model file that a manifest was pinned to."""
    return {"file": str(file), "sha256": digest}, (str(file), digest)


def checked(result: Checked) -> Line:
    """What the digest of one file says."""
    record = {
        "name": result.model,
        "file": result.file,
        "state": result.state,
        "expected": result.expected,
        "found": result.found,
    }
    return record, (result.model, result.file, result.state)


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
