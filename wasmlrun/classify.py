"""The whole flow: image → manifest → worker → WASI-NN → engine → scores → labels → report.

The model, the worker and the first picture are prepared side by side, each in a thread: the
engines release Python's lock. What is not needed yet is not imported yet.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wasmlrun.errors import EXIT_EXPECTATION, EXIT_OK, BadModel, LimitExceeded, WasmlrunError
from wasmlrun.labels import Prediction
from wasmlrun.limits import MAX_PIXELS
from wasmlrun.messages import Messages
from wasmlrun.plan import Plan
from wasmlrun.report import Expectation, ImageResult, Report
from wasmlrun.stages import Board, Stage
from wasmlrun.tasks import Task

if TYPE_CHECKING:
    from wasmlrun.backends import Backend, Graph, Port
    from wasmlrun.cache import Cache
    from wasmlrun.outcome import GuestRun
    from wasmlrun.session import GraphPool
    from wasmlrun.worker import LinkedWorker, Runtime, Worker

MAX_PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond the plan."""

    top: int = 5
    expect: str | None = None
    min_score: float | None = None
    device: str | None = None
    strict_device: bool = False
    max_pixels: int = MAX_PIXELS


def classify(
    names: Sequence[str],
    plan: Plan,
    options: Options,
    backend: Backend,
    cache: Cache,
    board: Board,
    report: Report,
    messages: Messages,
) -> int:
    """Classify images and report them in their order; one that fails does not stop the rest.

    Images that the board says are done already are left out.

    Returns the exit code: of the first failure, else whether expectations were met.

    Raises:
        WasmlrunError: when the worker or the model cannot be prepared at all.
    """
    for table in plan.ignored:
        messages.detail(f"the manifest's [{table}] means nothing here and is ignored")
    board.timeout = plan.limits.timeout
    board.deadline = board.deadline or time.monotonic() + plan.limits.timeout
    classifier = Classifier(plan, options, backend, cache, board, messages)
    try:
        for name, outcome in classifier.outcomes(names[board.done :]):
            code = _report(name, outcome, report, messages)
            board.report(board.done + 1, _combined(board.code, code))
            if isinstance(outcome, LimitExceeded):
                break  # the clock is for the whole command: nothing can follow
    finally:
        classifier.close()
    return board.code


def _report(
    name: str, outcome: ImageResult | WasmlrunError, report: Report, messages: Messages
) -> int:
    """Tell one image's outcome; returns its exit code."""
    if isinstance(outcome, WasmlrunError):
        report.failure(name, outcome)
        messages.error(outcome)
        return outcome.exit_code
    report.result(outcome)
    if outcome.expectation is None or outcome.expectation.met:
        return EXIT_OK
    messages.info(_unmet(outcome))
    return EXIT_EXPECTATION


def _combined(so_far: int, new: int) -> int:
    """The first failure's code; an unmet expectation counts less than any failure."""
    return so_far if new == EXIT_OK or so_far not in (EXIT_OK, EXIT_EXPECTATION) else new


class Classifier:
    """The worker and the model, prepared once, and what an image goes through."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        backend: Backend,
        cache: Cache,
        board: Board,
        messages: Messages,
    ) -> None:
        from wasmlrun.devices import DeviceChoice
        from wasmlrun.session import GraphPool

        self._plan = plan
        self._options = options
        self._board = board
        self._messages = messages
        self._cache = cache
        self._pool: GraphPool = GraphPool(backend, board)
        self._choose_device = DeviceChoice(
            backend, options.device, messages.warn, strict=options.strict_device
        )
        self._per_thread = threading.local()
        # the model takes longest: it starts first
        self._graph: Task[Graph | None] = Task(self._load_model)
        self._worker: Task[tuple[Runtime, Worker]] = Task(self._load_worker)

    def outcomes(self, names: Sequence[str]) -> Iterator[tuple[str, ImageResult | WasmlrunError]]:
        """Each image's result or error, in order.

        Several images go through in parallel, a bounded number of them at once; each in an
        instance of its own.
        """
        threads = min(len(names), len(_processors()), MAX_PARALLEL)
        if threads <= 1:
            for name in names:
                yield name, self._outcome(name)
            return
        from concurrent.futures import Future, ThreadPoolExecutor

        with ThreadPoolExecutor(threads) as executor:
            waiting: deque[tuple[str, Future[ImageResult | WasmlrunError]]] = deque()
            for name in names:
                waiting.append((name, executor.submit(self._outcome, name)))
                if len(waiting) > 2 * threads:
                    first, future = waiting.popleft()
                    yield first, future.result()
            for name, future in waiting:
                yield name, future.result()

    def close(self) -> None:
        """Free the model."""
        self._pool.close()

    def _outcome(self, name: str) -> ImageResult | WasmlrunError:
        try:
            return self._classify(name)
        except WasmlrunError as error:
            return error

    def _classify(self, name: str) -> ImageResult:
        started = time.perf_counter()
        timings: dict[str, float] = {}
        if self._plan.settings.protocol == "wws":
            predictions = self._by_wws(name, timings)
        else:
            predictions = self._by_tensor(name, timings)
        timings["total"] = (time.perf_counter() - started) * 1000
        return ImageResult(
            name,
            self._plan.shown_worker,
            self._plan.shown_model,
            predictions,
            timings,
            self._expectation(predictions),
        )

    def _by_wws(self, name: str, timings: dict[str, float]) -> list[Prediction]:
        from wasmlrun import image, imagefile
        from wasmlrun.protocols import wws

        with _timed(timings, "image"):
            data = imagefile.read_image(name)
            # the worker decodes for itself; what is no image is told here, in plain words
            with self._board.doing(Stage.IMAGE, name):
                image.decode(data, name, max_pixels=self._options.max_pixels)
        run = self._run(name, timings, stdin=wws.image_request(data))
        return wws.predictions(run, self._options.top)

    def _by_tensor(self, name: str, timings: dict[str, float]) -> list[Prediction]:
        from wasmlrun import image, imagefile, preprocess
        from wasmlrun.protocols import tensor as protocol

        plan = self._plan
        with _timed(timings, "image"), self._board.doing(Stage.IMAGE, name):
            size = plan.settings.size
            pixels = image.decode(
                imagefile.read_image(name),
                name,
                at_least=max(size) if size else 2 * preprocess.DEFAULT_SIZE,
                max_pixels=self._options.max_pixels,
            )
        with _timed(timings, "model"):
            graph = self._graph.result()
        with _timed(timings, "input"):
            spec = preprocess.resolve(plan.settings, _picture_input(graph))
            tensor = preprocess.to_tensor(pixels, spec)
        environ: list[tuple[str, str]] = []
        if plan.model is not None:
            encoding = plan.source.encoding if plan.source else None
            output = graph.outputs[0] if graph is not None and graph.outputs else None
            environ = protocol.environment(tensor, plan.model, encoding, output)
        run = self._run(name, timings, stdin=bytes(tensor.data), environ=environ)
        with _timed(timings, "labels"):
            return protocol.predictions(run, plan.settings, plan.labels, self._options.top)

    def _run(
        self,
        name: str,
        timings: dict[str, float],
        *,
        stdin: bytes,
        environ: Sequence[tuple[str, str]] = (),
    ) -> GuestRun:
        """One fresh instance, from start to end. Raises when it failed."""
        from wasmlrun.outcome import explain
        from wasmlrun.session import Session

        plan = self._plan
        with _timed(timings, "worker"):
            linked = self._linked()
        session = Session(
            self._pool,
            plan.models,
            self._choose_device,
            nhwc_input=plan.grant.nhwc_input,
            limits=plan.limits,
            allowed_models=plan.grant.allowed_models,
        )
        try:
            with _timed(timings, "run"), self._board.doing(Stage.GUEST, name):
                run = linked.run(
                    session=session,
                    arguments=plan.arguments,
                    environ=environ,
                    stdin=stdin,
                    stderr=self._messages.guest,
                )
        finally:
            session.close()
        if run.exit_code != 0:
            raise explain(run, f"worker {plan.worker.name} exited with code {run.exit_code}")
        return run

    def _linked(self) -> LinkedWorker:
        """This thread's worker: a linked one runs one instance at a time."""
        if not hasattr(self._per_thread, "linked"):
            _, worker = self._worker.result()
            self._per_thread.linked = worker.linked(self._plan.grant)
        linked: LinkedWorker = self._per_thread.linked
        return linked

    def _load_worker(self) -> tuple[Runtime, Worker]:
        from wasmlrun.worker import Runtime, Worker

        runtime = Runtime(self._plan.limits, self._cache)
        runtime.start_clock(self._board.deadline)
        return runtime, Worker(runtime, self._plan.worker)

    def _load_model(self) -> Graph | None:
        plan = self._plan
        if plan.source is None:
            return None
        from wasmlrun.backends import EngineError
        from wasmlrun.session import NnError, check_allowed

        try:
            check_allowed(plan.source, plan.grant.allowed_models, str(plan.shown_model))
            with self._board.doing(Stage.MODEL, plan.shown_model or "the model"):
                return self._pool.load(plan.source, self._choose_device("cpu"))
        except NnError as e:
            raise BadModel(e.message, "wasmlrun models lock MANIFEST writes the list anew") from e
        except EngineError as e:
            raise BadModel(
                f"model {plan.shown_model} cannot be read as {plan.source.encoding.value}: {e}",
                "check the file: is it complete, and of the format its name says?",
            ) from e

    def _expectation(self, predictions: Sequence[Prediction]) -> Expectation | None:
        options = self._options
        if options.expect is None and options.min_score is None:
            return None
        met = bool(predictions)
        if options.expect is not None:
            met = met and matches(predictions[0].label, options.expect)
        if options.min_score is not None:
            met = met and predictions[0].score >= options.min_score
        return Expectation(options.expect or "", options.min_score, met)


def matches(label: str, expected: str) -> bool:
    """Whether a label, or one of its synonyms, is one of the expected: case does not count.

    Both may be lists with commas, as ImageNet's labels are (`tench, Tinca tinca`).
    """
    return bool(_synonyms(label) & _synonyms(expected))


def _synonyms(text: str) -> set[str]:
    return {part.strip().casefold() for part in (text, *text.split(",")) if part.strip()}


def _unmet(result: ImageResult) -> str:
    expectation = result.expectation
    assert expectation is not None
    wanted = f"expected {expectation.labels!r}" if expectation.labels else "expected a score"
    if expectation.min_score is not None:
        wanted += f" of at least {expectation.min_score:g}"
    if not result.predictions:
        return f"{result.image}: {wanted}, the answer is empty"
    best = result.predictions[0]
    return f"{result.image}: {wanted}, got {best.label!r} with {best.score:.4f}"


def _picture_input(graph: Graph | None) -> Port | None:
    if graph is None:
        return None
    if len(graph.inputs) != 1:
        raise BadModel(
            f"the model has {len(graph.inputs)} inputs; a classifier has one, the picture"
        )
    return graph.inputs[0]


def _processors() -> Sequence[int]:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds of the block to a table."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - started) * 1000
