"""What `wasmlrun doctor` prints."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict

from wasmlrun.diagnose.doctor import Findings
from wasmlrun.report.answers import SCHEMA
from wasmlrun.support.messages import printable


def write(findings: Findings, *, as_json: bool) -> None:
    """One JSON object, or `STATE<TAB>WHAT<TAB>FACT` lines; a state is ok or FAILED."""
    if as_json:
        record = {"schema": SCHEMA, "healthy": findings.healthy, **asdict(findings)}
        print(json.dumps(record, ensure_ascii=False), flush=True)
        return
    for healthy, what, fact in _lines(findings):
        print(f"{'ok' if healthy else 'FAILED'}\t{what}\t{printable(fact, keep='')}", flush=True)


def _lines(findings: Findings) -> Iterator[tuple[bool, str, str]]:
    for name, version in findings.versions.items():
        yield True, name, version
    yield bool(findings.devices), "devices", ", ".join(findings.devices) or "none"
    cache = findings.cache
    where = f"{cache.path}: {cache.entries} entries, {cache.bytes} bytes"
    if cache.mode is not None:
        where += f", mode {cache.mode}"
    yield not cache.problems, "cache", "; ".join([where, *cache.problems])
    yield findings.model.works, "default model", findings.model.how
    for tried in findings.sandbox:
        yield tried.passed, f"sandbox: {tried.name}", tried.how
