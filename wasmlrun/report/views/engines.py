"""The answer of `wasmlrun engines`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasmlrun.diagnose.engines import EngineFacts
from wasmlrun.report.answer import Answer, Columns


def answer(found: Sequence[EngineFacts]) -> Answer:
    """One engine a line: name, version or state, devices, encodings, how to install it."""
    records = [_record(facts) for facts in found]
    cells = [_cells(facts) for facts in found]
    return Answer(records, cells, Columns(cells))


def _record(facts: EngineFacts) -> dict[str, Any]:
    about = facts.about
    return {
        "name": facts.name,
        "installed": facts.version is not None or (about is not None and bool(facts.problem)),
        "version": facts.version,
        "devices": list(facts.devices),
        "encodings": [e.value for e in about.encodings] if about else [],
        "precisions": list(about.precisions) if about else [],
        "install": about.install if about else None,
        "description": about.description if about else None,
        "problem": facts.problem,
    }


def _cells(facts: EngineFacts) -> Sequence[str]:
    about = facts.about
    missing = "not installed" if facts.problem is None else f"broken: {facts.problem}"
    return (
        facts.name,
        facts.version or missing,
        ", ".join(facts.devices),
        ", ".join(e.value for e in about.encodings) if about else "",
        "" if facts.version or about is None else about.install,
    )
