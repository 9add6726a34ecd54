"""An answer that is known at once, told on stdout."""

from __future__ import annotations

from wasmlrun.report.answer import Answer, Asked
from wasmlrun.report.reporter import as_it_is, open_report
from wasmlrun.support.messages import Messages


def tell(command: str, answer: Answer, *, as_json: bool) -> int:
    """The one answer of a command; returns its exit code."""
    report = open_report(as_it_is, Asked(command), Messages(), as_json=as_json)
    return report.run(lambda: report.result(answer))
