"""The answers of `wasmlrun config`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wasmlrun.report.answer import Answer, Columns
from wasmlrun.support.settings import Setting, Value


def settings(found: Sequence[tuple[Setting, Value]], file: Path) -> Answer:
    """`key`, `value`, `origin`, `variable`, `meaning` of each setting."""
    records = [
        {
            "key": setting.key,
            "value": value.text,
            "origin": value.origin,
            "variable": setting.variable,
            "meaning": setting.meaning,
        }
        for setting, value in found
    ]
    lines = [(s.key, v.text or "", v.origin, s.variable) for s, v in found]
    shown = [
        (s.key, v.text if v.text is not None else f"({s.otherwise})", f"{v.origin}; {s.variable}")
        for s, v in found
    ]
    there = "" if file.is_file() else ", which does not exist"
    footer = f"\nconfiguration file: {file}{there}\n"
    return Answer(records, lines, Columns(shown, footer=footer))


def path(file: Path) -> Answer:
    """Where the configuration is or would be."""
    return Answer([{"path": str(file), "exists": file.is_file()}], [(str(file),)])
