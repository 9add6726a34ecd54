"""The answer of `wasmlrun doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from wasmlrun.report.answer import Answer, Verdict

if TYPE_CHECKING:
    from wasmlrun.diagnose.doctor import Findings


def answer(findings: Findings) -> Answer:
    """One JSON object, or `STATE<TAB>WHAT<TAB>FACT` lines; a state is ok or FAILED."""
    lines = [("ok" if ok else "FAILED", what, fact) for ok, what, fact in _lines(findings)]
    verdicts = [Verdict(what, fault=None if ok else fact) for ok, what, fact in _lines(findings)]
    return Answer([{"healthy": findings.healthy, **asdict(findings)}], lines, verdicts=verdicts)


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
