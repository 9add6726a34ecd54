"""The whole flow: image → manifest → worker → WASI-NN → engine → scores → labels → report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from wasmlrun.pipeline.expectation import unmet
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.plan import Options, Plan
from wasmlrun.pipeline.result import ImageResult, Report
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK, LimitExceeded, WasmlrunError
from wasmlrun.support.failure import failure_of
from wasmlrun.support.messages import Messages
from wasmlrun.support.process import bound_memory
from wasmlrun.support.tasks import quick_handover

if TYPE_CHECKING:
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.support.cache import Cache
    from wasmlrun.trace.recorder import Trace


def classify(
    names: Sequence[str],
    plan: Plan,
    options: Options,
    engines: EnginePool,
    cache: Cache,
    board: Board,
    report: Report,
    messages: Messages,
    trace: Trace | None = None,
) -> int:
    """Classify images and report them in their order; one that fails does not stop the rest.

    Images that the board says are done already are left out.

    Returns the exit code: of the first failure, else whether expectations were met.

    Raises:
        WasmlrunError: when the worker or the model cannot be prepared at all.
    """
    for table in plan.ignored:
        messages.detail(f"the manifest's [{table}] means nothing here and is ignored")
    for sentence in plan.raised:
        messages.warn(sentence)
    board.timeout = plan.limits.timeout
    board.deadline = board.deadline or time.monotonic() + plan.limits.timeout
    bound_memory(plan.limits.process_memory)
    with quick_handover():
        loading = Loading(plan, engines, board, trace)
    from wasmlrun.pipeline.per_image import Classifier  # while the model is loaded

    classifier = Classifier(plan, options, loading, cache, board, messages, trace)
    report.prepare()
    for name, outcome in classifier.outcomes(names[board.done :]):
        code = _report(name, outcome, report, messages)
        board.report(board.done + 1, _combined(board.code, code))
        if isinstance(outcome, LimitExceeded) and outcome.limit == "timeout":
            break  # the clock is for the whole command: nothing can follow
    # nothing is freed: the process ends now, and freeing a model takes as long as an inference
    return board.code


def _report(
    name: str, outcome: ImageResult | WasmlrunError, report: Report, messages: Messages
) -> int:
    """Tell one image's outcome; returns its exit code."""
    if isinstance(outcome, WasmlrunError):
        report.failure(failure_of(outcome, name))
        return outcome.exit_code
    report.result(outcome)
    if outcome.expectation is None or outcome.expectation.met:
        return EXIT_OK
    messages.info(unmet(outcome))
    return EXIT_EXPECTATION


def _combined(so_far: int, new: int) -> int:
    """The first failure's code; an unmet expectation counts less than any failure."""
    return so_far if new == EXIT_OK or so_far not in (EXIT_OK, EXIT_EXPECTATION) else new
