"""The answer of `wasmlrun doctor`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from wasmlrun.report.answer import Answer, Columns, Verdict
from wasmlrun.support.sizes import size_text

if TYPE_CHECKING:
    from wasmlrun.diagnose.doctor import Findings

SANDBOX, WALL = "sandbox: ", "wall: "
OK, BAD, ABSENT = "ok", "FAILED", "absent"


def answer(findings: Findings, *, every: bool = True) -> Answer:
    """One JSON object, or `STATE<TAB>WHAT<TAB>FACT` lines; a state is ok, FAILED, or absent for a
    wall that this system does not have.

    Unless `every`, a table has one row for all attempts to break out that were refused.
    """
    lines = list(_lines(findings))
    verdicts = [Verdict(what, fault=fact if state == BAD else None) for state, what, fact in lines]
    bad, absent = (sum(line[0] == state for line in lines) for state in (BAD, ABSENT))
    footer = f"{bad} of {len(lines)} checks FAILED" if bad else f"all {len(lines)} checks are ok"
    if absent and not bad:
        footer = f"{len(lines) - absent} checks are ok, {absent} of the walls are absent"
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
    """The lines, with one each for walls and sandbox where all is well, else with what is not."""
    kept = [line for line in lines if line[0] != OK or not line[1].startswith((SANDBOX, WALL))]
    if findings.walls and not any(findings.walls.values()):
        kept.append((OK, "walls", f"all {len(findings.walls)} stand around the work"))
    refused = sum(t.passed and not t.name.startswith("control") for t in findings.sandbox)
    if all(tried.passed for tried in findings.sandbox):
        kept.append((OK, "sandbox", f"{refused} attempts to break out failed, as they must"))
    return kept


def _lines(findings: Findings) -> Iterator[tuple[str, str, str]]:
    for name, version in findings.versions.items():
        yield OK, name, version
    yield _state(bool(findings.devices)), "devices", ", ".join(findings.devices) or "none"
    cache = findings.cache
    where = f"{cache.path}: {cache.entries} entries, {size_text(cache.bytes)}"
    if cache.mode is not None:
        where += f", mode {cache.mode}"
    yield _state(not cache.problems), "cache", "; ".join([where, *cache.problems])
    yield _state(findings.model.works), "default model", findings.model.how
    for tried in findings.compiled:
        yield _state(tried.passed), f"compiled: {tried.name}", tried.how
    for name, missing in findings.walls.items():
        yield ABSENT if missing else OK, f"{WALL}{name}", missing or "it stands"
    for tried in findings.sandbox:
        yield _state(tried.passed), f"{SANDBOX}{tried.name}", tried.how


def _state(well: bool) -> str:
    return OK if well else BAD
