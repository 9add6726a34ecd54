"""The answer for one case of `wasmlrun check`."""

from __future__ import annotations

from wasmlrun.diagnose.conformance import Outcome
from wasmlrun.report.answer import Answer, Columns, Verdict
from wasmlrun.report.views.rows import rows

CASE_WIDTH = 46
"""Columns of the longest case's name: cases are told one by one, and stand in line."""


def answer(outcome: Outcome) -> Answer:
    """`result` (pass or FAIL), `case`, `detail`."""
    result = "pass" if outcome.passed else "FAIL"
    row = {"result": result, "case": outcome.case, "detail": outcome.detail}
    found = rows([row])
    picture = Columns([(result, outcome.case, outcome.detail)], least=(4, CASE_WIDTH))
    fault = None if outcome.passed else outcome.detail
    return Answer(
        found.records, found.lines, picture, verdicts=[Verdict(outcome.case, fault=fault)]
    )
