"""How an image's outcome is told, wherever it was come to, and the exit code of several."""

from __future__ import annotations

from wasmlrun.pipeline.expectation import unmet
from wasmlrun.pipeline.honesty import doubt
from wasmlrun.pipeline.result import ImageResult, Report
from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK, WasmlrunError
from wasmlrun.support.failure import failure_of
from wasmlrun.support.messages import Messages


def tell_outcome(
    name: str, outcome: ImageResult | WasmlrunError, report: Report, messages: Messages
) -> int:
    """Tell one image's outcome; returns its exit code."""
    if isinstance(outcome, WasmlrunError):
        report.failure(failure_of(outcome, name))
        return outcome.exit_code
    report.result(outcome)
    if outcome.sure is False:
        messages.info(doubt(outcome))
    if outcome.expectation is None or outcome.expectation.met:
        return EXIT_OK
    messages.info(unmet(outcome))
    return EXIT_EXPECTATION


def combined(so_far: int, new: int) -> int:
    """The first failure's code; an unmet expectation counts less than any failure."""
    return so_far if new == EXIT_OK or so_far not in (EXIT_OK, EXIT_EXPECTATION) else new
