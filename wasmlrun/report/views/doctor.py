"""The answer of `wasmlrun doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from wasmlrun.report.answer import Answer, Columns, Verdict
from wasmlrun.support.sizes import size_text

if TYPE_CHECKING:
    from wasmlrun.diagnose.doctor import Findings

SANDBOX = "sandbox: "


def answer(findings: Findings, *, every: bool = True) -> Answer:
    """One JSON object, or `STATE<TAB>WHAT<TAB>FACT` lines; a state is ok or FAILED.

    Unless `every`, a table has one row for all attempts to break out that were refused.
    """
    lines = [("ok" if ok else "FAILED", what, fact) for ok, what, fact in _lines(findings)]
    verdicts = [Verdict(what, fault=None if ok else fact) for ok, what, fact in _lines(findings)]
    bad = sum(state != "ok" for state, _, _ in lines)
    footer = f"{bad} of {len(lines)} checks FAILED" if bad else f"all {len(lines)} checks are ok"
    shown = lines if every else _summed_up(findings, lines)
    return Answer(
        [{"healthy": findings.healthy, **asdict(findings)}],
        lines,
        Columns(shown, footer=f"\n{footer}\n"),
        verdicts,
    )


def _summed_up(
    findings: Findings, lines: Sequence[tuple[str, str, str]]
) -> list[tuple[str, str, str]]:
    """The lines, with one for the sandbox where all is well, else with what is not."""
    kept = [line for line in lines if not line[1].startswith(SANDBOX) or line[0] != "ok"]
    refused = sum(t.passed and not t.name.startswith("control") for t in findings.sandbox)
    if len(kept) + len(findings.sandbox) == len(lines):
        kept.append(("ok", "sandbox", f"{refused} attempts to break out failed, as they must"))
    return kept


def _lines(findings: Findings) -> Iterator[tuple[bool, str, str]]:
    for name, version in findings.versions.items():
        yield True, name, version
    yield bool(findings.devices), "devices", ", ".join(findings.devices) or "none"
    cache = findings.cache
    where = f"{cache.path}: {cache.entries} entries, {size_text(cache.bytes)}"
    if cache.mode is not None:
        where += f", mode {cache.mode}"
    yield not cache.problems, "cache", "; ".join([where, *cache.problems])
    yield findings.model.works, "default model", findings.model.how
    for tried in findings.sandbox:
        yield tried.passed, f"{SANDBOX}{tried.name}", tried.how
