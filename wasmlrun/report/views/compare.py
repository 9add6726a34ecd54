"""The answer of `wasmlrun compare`: engines side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasmlrun.diagnose.compare import Contender
from wasmlrun.report.answer import Answer, Columns


def answer(found: Sequence[Contender]) -> Answer:
    """One object, or one line, an engine; at a terminal a column for each."""
    lines = [
        (
            c.engine,
            c.precision,
            c.predictions[0].label if c.predictions else "",
            f"{c.predictions[0].score:.4f}" if c.predictions else "",
            f"{c.latency_ms:.2f}",
            f"{c.difference:.6f}",
        )
        for c in found
    ]
    return Answer([_record(c) for c in found], lines, Columns(_table(found)))


def _record(contender: Contender) -> dict[str, Any]:
    return {
        "engine": contender.engine,
        "version": contender.version,
        "precision": contender.precision,
        "predictions": [
            {"index": p.index, "label": p.label, "score": p.score} for p in contender.predictions
        ],
        "latency_ms": round(contender.latency_ms, 3),
        "max_difference": contender.difference,
    }


def _table(found: Sequence[Contender]) -> list[list[str]]:
    rows = [["", *(f"{c.engine} {c.precision}" for c in found)]]
    for place in range(max((len(c.predictions) for c in found), default=0)):
        rows.append([str(place + 1), *(_prediction(c, place) for c in found)])
    rows.append(["latency", *(f"{c.latency_ms:.1f} ms" for c in found)])
    rows.append(["max difference", *(f"{c.difference:.2g}" for c in found)])
    return rows


def _prediction(contender: Contender, place: int) -> str:
    if place >= len(contender.predictions):
        return ""
    found = contender.predictions[place]
    return f"{found.label} {found.score:.1%}"
