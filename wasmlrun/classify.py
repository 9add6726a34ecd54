"""The whole flow: image → manifest → worker → WASI-NN → engine → scores → labels → report."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field

from wasmlrun import image as images
from wasmlrun import preprocess
from wasmlrun.backends import Backend, EngineError, Graph, Port
from wasmlrun.devices import DeviceChoice
from wasmlrun.errors import EXIT_EXPECTATION, EXIT_OK, BadModel, LimitExceeded, WasmlrunError
from wasmlrun.labels import Prediction
from wasmlrun.limits import Limits
from wasmlrun.messages import Messages
from wasmlrun.outcome import GuestRun, explain
from wasmlrun.plan import Plan
from wasmlrun.protocols import tensor as tensor_protocol
from wasmlrun.protocols import wws as wws_protocol
from wasmlrun.report import Expectation, ImageResult, Report
from wasmlrun.session import GraphPool, Session
from wasmlrun.worker import LinkedWorker, Runtime, Worker


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says beyond the plan."""

    top: int = 5
    expect: str | None = None
    min_score: float | None = None
    device: str | None = None
    strict_device: bool = False
    max_pixels: int = images.MAX_PIXELS
    limits: Limits = field(default_factory=Limits)


def classify(
    names: Sequence[str],
    plan: Plan,
    options: Options,
    backend: Backend,
    report: Report,
    messages: Messages,
) -> int:
    """Classify images one by one; one that fails does not stop the rest.

    Returns the exit code: of the first failure, else whether expectations were met.

    Raises:
        WasmlrunError: when the worker or the model cannot be prepared at all.
    """
    for table in plan.ignored:
        messages.detail(f"the manifest's [{table}] means nothing here and is ignored")
    code, unmet = EXIT_OK, False
    with ExitStack() as stack:
        runtime = Runtime(options.limits)
        stack.enter_context(runtime.clock())
        pool = GraphPool(backend)
        stack.callback(pool.close)
        threads = ThreadPoolExecutor(3, "wasmlrun")
        stack.callback(threads.shutdown, wait=False, cancel_futures=True)
        classifier = _Classifier(plan, options, runtime, pool, threads, messages)
        for name in names:
            try:
                result = classifier.classify(name)
            except LimitExceeded as error:
                # the clock is for the whole command: nothing can follow
                report.failure(name, error)
                messages.error(error)
                return error.exit_code
            except WasmlrunError as error:
                report.failure(name, error)
                messages.error(error)
                code = code or error.exit_code
                continue
            report.result(result)
            if result.expectation is not None and not result.expectation.met:
                unmet = True
                messages.info(_unmet(result))
    return code or (EXIT_EXPECTATION if unmet else EXIT_OK)


class _Classifier:
    """The worker, the model and the threads that prepare them while the image is decoded."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        runtime: Runtime,
        pool: GraphPool,
        threads: ThreadPoolExecutor,
        messages: Messages,
    ) -> None:
        self._plan = plan
        self._options = options
        self._pool = pool
        self._threads = threads
        self._messages = messages
        self._choose_device = DeviceChoice(
            pool.backend, options.device, messages.warn, strict=options.strict_device
        )
        self._linked: Future[LinkedWorker] = threads.submit(
            lambda: Worker(runtime, plan.worker).linked(plan.grant)
        )
        self._graph: Future[Graph | None] = threads.submit(self._load_model)

    def classify(self, name: str) -> ImageResult:
        """Classify one image. Raises WasmlrunError."""
        started = time.perf_counter()
        timings: dict[str, float] = {}
        data = images.read_image(name)
        if self._plan.settings.protocol == "wws":
            predictions = self._by_wws(name, data, timings)
        else:
            predictions = self._by_tensor(name, data, timings)
        timings["total"] = (time.perf_counter() - started) * 1000
        return ImageResult(
            name,
            self._plan.shown_worker,
            self._plan.shown_model,
            predictions,
            timings,
            self._expectation(predictions),
        )

    def _by_wws(self, name: str, data: bytes, timings: dict[str, float]) -> list[Prediction]:
        with _timed(timings, "image"):
            # the worker decodes for itself; what is no image is told here, in plain words
            images.decode(data, name, max_pixels=self._options.max_pixels)
        run = self._run(timings, stdin=wws_protocol.image_request(data))
        return wws_protocol.predictions(run, self._options.top)

    def _by_tensor(self, name: str, data: bytes, timings: dict[str, float]) -> list[Prediction]:
        plan = self._plan
        with _timed(timings, "image"):
            size = plan.settings.size
            pixels = images.decode(
                data,
                name,
                at_least=max(size) if size else 2 * preprocess.DEFAULT_SIZE,
                max_pixels=self._options.max_pixels,
            )
        with _timed(timings, "model"):
            graph = self._graph.result()
        with _timed(timings, "input"):
            port = _picture_input(graph)
            spec = preprocess.resolve(plan.settings, port)
            tensor = preprocess.to_tensor(pixels, spec)
        environ = (
            tensor_protocol.environment(
                tensor,
                plan.model,
                plan.source.encoding if plan.source else None,
                graph.outputs[0] if graph is not None and graph.outputs else None,
            )
            if plan.model is not None
            else []
        )
        run = self._run(timings, stdin=bytes(tensor.data), environ=environ)
        return tensor_protocol.predictions(run, plan.settings, plan.labels, self._options.top)

    def _run(
        self,
        timings: dict[str, float],
        *,
        stdin: bytes,
        environ: Sequence[tuple[str, str]] = (),
    ) -> GuestRun:
        """One fresh instance, from start to end. Raises when it failed."""
        plan = self._plan
        with _timed(timings, "worker"):
            linked = self._linked.result()
        session = Session(
            self._pool, plan.models, self._choose_device, nhwc_input=plan.grant.nhwc_input
        )
        with _timed(timings, "run"):
            try:
                # in a thread, so that Ctrl-C reaches this one
                run = self._threads.submit(
                    linked.run,
                    session=session,
                    arguments=plan.arguments,
                    environ=environ,
                    stdin=stdin,
                    stderr=self._messages.guest,
                ).result()
            finally:
                session.close()
        if run.exit_code != 0:
            raise explain(run, f"worker {plan.worker.name} exited with code {run.exit_code}")
        return run

    def _load_model(self) -> Graph | None:
        plan = self._plan
        if plan.source is None:
            return None
        try:
            return self._pool.load(plan.source, self._choose_device("cpu"))
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


class _timed:
    """Adds the milliseconds of its block to a table."""

    def __init__(self, timings: dict[str, float], stage: str) -> None:
        self._timings = timings
        self._stage = stage

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        elapsed = (time.perf_counter() - self._started) * 1000
        self._timings[self._stage] = self._timings.get(self._stage, 0.0) + elapsed
