"""The whole flow: image → manifest → worker → WASI-NN → engine → scores → labels → report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from wasmlrun.pipeline.honesty import about_model
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.plan import ClassifyOptions, Plan, hosted
from wasmlrun.pipeline.result import ImageResult, Report
from wasmlrun.pipeline.telling import combined, tell_outcome
from wasmlrun.sandbox.clock import Clock
from wasmlrun.support.errors import LimitExceeded, WasmlrunError
from wasmlrun.support.messages import Messages
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import replace
from wasmlrun.support.tasks import quick_handover

if TYPE_CHECKING:
    from wasmlrun.host import Host
    from wasmlrun.vision.source import ImageSource


def classify(
    images: Sequence[ImageSource],
    plan: Plan,
    options: ClassifyOptions,
    host: Host,
    report: Report,
    messages: Messages,
    deliver: Callable[[Callable[[], int]], None] | None = None,
) -> int:
    """Classify images and report them in their order; one that fails does not stop the rest.

    The host's board has the clock: it starts here unless it runs already. Images that the board
    says are done are left out. `deliver` is given what tells an image's outcome and returns the
    exit code so far; it sees to it that it counts once.

    Returns the exit code: of the first failure, else whether expectations were met.

    Raises:
        WasmlrunError: when the worker or the model cannot be prepared at all.
    """
    for table in plan.only_for_serve:
        messages.detail(f"the manifest's [{table}] is only for serve and grants nothing here")
    for sentence in plan.raised:
        messages.warn(sentence)
    if plan.chosen:
        messages.detail(plan.chosen)
    board = host.board
    board.lower_timeout(plan.limits.timeout)
    bound_memory(plan.limits.process_memory)
    host = hosted(plan, replace(host, clock=Clock(board.deadline)))
    with quick_handover():
        loading = Loading(plan, host)
    from wasmlrun.pipeline.per_image import Classifier  # while the model is loaded

    classifier = Classifier(plan, options, host, loading, messages)
    report.prepare()
    from wasmlrun.vision.decode import configure_process

    configure_process(options.max_pixels)
    if not images:  # to see whether it could be done
        classifier.ready()
    outcomes: Iterator[tuple[ImageSource, ImageResult | WasmlrunError]]
    if options.explain:
        from wasmlrun.pipeline.explain import Explainer

        explainer = Explainer(plan, options, host, loading)
        outcomes = explainer.outcomes(classifier, images[board.done :])
    else:
        outcomes = classifier.outcomes(images[board.done :])
    answered = False
    for image, outcome in outcomes:
        answered = answered or not isinstance(outcome, WasmlrunError)
        tell = partial(tell_outcome, image.name, outcome, report, messages)
        if deliver is not None:
            deliver(lambda tell=tell: combined(board.code, tell()))  # type: ignore[misc]
        else:
            board.report(board.done + 1, combined(board.code, tell()))
        if isinstance(outcome, LimitExceeded) and outcome.limit == "timeout":
            break  # the clock is for the whole command: nothing can follow
    note = about_model(plan.shown_model)
    if note is not None and answered and not messages.told_before:
        messages.info(note)
    # nothing is freed: the process ends now, and freeing a model takes as long as an inference
    return board.code
