"""Answers about what is kept: the cache of compiled things, and prepared interpreters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.report.answer import Answer, Columns
from wasmlrun.report.views.rows import facts, rows
from wasmlrun.support.sizes import size_text


def cache(found: Mapping[str, Any]) -> Answer:
    """Where the cache is and how full: `path`, `entries`, `bytes`, `bound`."""
    plain = facts(found)
    full = f"{size_text(found['bytes'])} of at most {size_text(found['bound'])}"
    picture = Columns([("path", found["path"]), ("entries", str(found["entries"])), ("size", full)])
    return Answer(plain.records, plain.lines, picture)


def entries(found: Sequence[Mapping[str, Any]]) -> Answer:
    """What is in the cache: `kind`, `key`, `what`, `bytes`, `used` of each entry."""
    plain = rows(found)
    total = size_text(sum(entry["bytes"] for entry in found))
    shown = [
        (
            entry["kind"],
            size_text(entry["bytes"]),
            entry["used"][:16].replace("T", " "),
            entry["what"],
        )
        for entry in found
    ]
    several = "entry" if len(found) == 1 else "entries"
    footer = f"\n{len(found)} {several}, {total}\n" if found else "the cache is empty\n"
    return Answer(plain.records, plain.lines, Columns(shown, footer=footer))


def runtimes(found: Sequence[Mapping[str, Any]]) -> Answer:
    """The interpreters: `name`, `runtime`, `ready`, `bytes` of each."""
    plain = rows(found)
    shown = [
        (
            runtime["name"],
            runtime["runtime"],
            f"ready, {size_text(runtime['bytes'])}"
            if runtime["ready"]
            else f"not prepared: wasmlrun runtimes install {runtime['name']}",
        )
        for runtime in found
    ]
    states = [
        (r["name"], r["runtime"], "ready" if r["ready"] else "missing", str(r["bytes"]))
        for r in found
    ]
    ready = sum(r["ready"] for r in found)
    footer = f"\n{ready} of {len(found)} are prepared\n"
    return Answer(plain.records, states, Columns(shown, footer=footer))
