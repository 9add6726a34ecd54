"""Answers of `wasmlrun models`: every form shows the same facts of the same objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.models.catalogue import assignments
from wasmlrun.report.answer import Answer, Columns
from wasmlrun.support.sizes import size_text
from wasmlrun.support.tensor import describe

if TYPE_CHECKING:
    from wasmlrun.models.catalogue import Entry
    from wasmlrun.models.info import ModelInfo, PortInfo
    from wasmlrun.models.store import Checked
    from wasmlrun.trust.signing import Signed

NO_ENGINE = "none of wasmlrun's; for programs that bring their own"
OWN = "added by you"
"""The heading above models that are not of the catalogue."""
NO_COUNT = "the constants of this file cannot be counted"
Line = tuple[dict[str, Any], Sequence[str]]
"""A JSON object, and the cells that a person reads."""


def answer(lines: Sequence[Line]) -> Answer:
    """A list: one object or one line each."""
    cells = [cells for _, cells in lines]
    return Answer([record for record, _ in lines], cells, Columns(cells))


def shelf(models: Sequence[Model]) -> Answer:
    """What `models list` and `models search` show: in a table by task, with less in a row."""
    return Answer(
        [model.record for model in models],
        [model.cells for model in models],
        Columns([model.row for model in models], [model.group for model in models]),
    )


def facts(record: dict[str, Any], lines: Sequence[tuple[str, str]]) -> Answer:
    """Everything about one thing: its object, and the same as lines with names."""
    return Answer([record], lines, Columns(lines))


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a list."""

    record: dict[str, Any]
    cells: Sequence[str]
    row: Sequence[str]
    """What a table shows of the cells."""
    group: str


def listed(entry: Entry, state: str, *, default: bool = False) -> Model:
    """A model of `models list` and `models search`."""
    record = {
        "name": entry.name,
        "state": state,
        "size": entry.size,
        "task": entry.task or None,
        "licence": entry.licence or None,
        "description": entry.description,
        "own": entry.own,
        "default": default,
    }
    size = "" if entry.size is None else size_text(entry.size)
    told = f"{entry.description} (what classify takes by default)" if default else entry.description
    return Model(
        record,
        (entry.name, state, size, entry.task, entry.licence, entry.description),
        (entry.name, state, size, told),
        entry.task or OWN,
    )


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


def signed(name: str, made: Signed) -> Line:
    """A signature that was made."""
    record = {
        "name": name,
        "signature": str(made.signature),
        "key": f"sha256:{made.key}",
        "files": [{"file": file, "sha256": digest} for file, digest in made.files],
    }
    return record, (name, str(made.signature), f"sha256:{made.key}")


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
        for key in ("description", "task", "licence", "source", "input"):
            record[key] = getattr(entry, key) or None
            if record[key]:
                lines.append((key, record[key]))
        record["engines"] = list(entry.engines)
        lines.append(("engines", ", ".join(entry.engines) or NO_ENGINE))
        record["classify"] = dict(entry.classify)
        if entry.classify:
            lines.append(("preprocessing", ", ".join(assignments(entry.classify))))
        record["files"] = [
            {
                "name": f.name,
                "address": f.address,
                "size": f.size,
                "sha256": f.sha256,
                "package_sha256": f.package_sha256,
                "convert": f.convert,
            }
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
