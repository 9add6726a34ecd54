"""The answer for one case of `wasmlrun check`."""

from __future__ import annotations

from wasmlrun.diagnose.conformance import Outcome
from wasmlrun.report.answer import Answer, Verdict
from wasmlrun.report.views.rows import rows


def answer(outcome: Outcome) -> Answer:
    """`result` (pass or FAIL), `case`, `detail`."""
    result = "pass" if outcome.passed else "FAIL"
    row = {"result": result, "case": outcome.case, "detail": outcome.detail}
    found = rows([row])
    fault = None if outcome.passed else outcome.detail
    return Answer(found.records, found.lines, verdicts=[Verdict(outcome.case, fault=fault)])
