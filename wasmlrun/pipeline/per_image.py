"""What one image goes through: its pixels, the worker, the engine, its labels.

The worker and then the first picture are prepared while the model is loaded
(`wasmlrun.pipeline.loading`). What is not needed yet is not imported yet.
"""

from __future__ import annotations

import math
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmlrun.pipeline.expectation import judge
from wasmlrun.pipeline.plan import Options, Plan
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.errors import BadModel, WasmlrunError
from wasmlrun.support.limits import exceeded
from wasmlrun.support.messages import Messages
from wasmlrun.support.tasks import Task, parallel
from wasmlrun.trace.spans import span
from wasmlrun.vision.labels import Prediction

if TYPE_CHECKING:
    from wasmlrun.engines.protocol import Graph, Port
    from wasmlrun.pipeline.loading import Loading
    from wasmlrun.sandbox.outcome import GuestRun
    from wasmlrun.sandbox.worker import LinkedWorker, Worker
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.tensor import Tensor
    from wasmlrun.trace.recorder import Trace

STARTED = "WASMLRUN_STARTED_NS"
"""Set by `wasmlrun bench`: the monotonic clock when it started this process."""


class Classifier:
    """The worker and the model, prepared once, and what an image goes through."""

    def __init__(
        self,
        plan: Plan,
        options: Options,
        loading: Loading,
        cache: Cache,
        board: Board,
        messages: Messages,
        trace: Trace | None = None,
    ) -> None:
        self._plan = plan
        self._options = options
        self._loading = loading
        self._board = board
        self._messages = messages
        self._cache = cache
        self._trace = trace
        self._idle: list[LinkedWorker] = []
        self._start = _since_process_start()
        self._worker: Task[Worker] = Task(self._load_worker)
        # one after the other: two threads that import modules only get into each other's way
        self._worker.wait()

    def outcomes(self, names: Sequence[str]) -> Iterator[tuple[str, ImageResult | WasmlrunError]]:
        """Each image's result or error, in order.

        Several images go through in parallel, a bounded number of them at once; each in an
        instance of its own.
        """
        threads = parallel(len(names), careful=self._board.careful)
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

    def _outcome(self, name: str) -> ImageResult | WasmlrunError:
        try:
            return self._classify(name)
        except WasmlrunError as error:
            return error
        except MemoryError:
            limit = self._plan.limits.process_memory
            return exceeded("process_memory", limit, f"image {name} takes more")

    def _classify(self, name: str) -> ImageResult:
        started = time.perf_counter()
        timings: dict[str, float] = {}
        if self._start is not None:
            timings["start"], self._start = self._start, None
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
            judge(predictions, self._options.expect, self._options.min_score),
        )

    def _by_wws(self, name: str, timings: dict[str, float]) -> list[Prediction]:
        from wasmlrun.pipeline.protocols import wws
        from wasmlrun.vision import decode, source

        with _timed(timings, "image"), span(self._trace, "image", image=name):
            data = source.read_image(name)
            # the worker decodes for itself; what is no image is told here, in plain words
            with self._board.doing(Stage.IMAGE, name):
                decode.decode(data, name, max_pixels=self._options.max_pixels)
        run = self._run(name, timings, stdin=wws.image_request(data))
        return wws.predictions(run, self._options.top)

    def _by_tensor(self, name: str, timings: dict[str, float]) -> list[Prediction]:
        from wasmlrun.pipeline.protocols import tensor as protocol

        plan = self._plan
        tensor, environ = self._input(name, timings)
        run = self._run(name, timings, stdin=bytes(tensor.data), environ=environ)
        # a guest that was told no model was not built for this protocol: what it prints is its own
        own = plan.model is not None
        if not own and run.output is not None:
            self._messages.guest(run.stdout)
        with _timed(timings, "labels"), span(self._trace, "labels", image=name):
            top = self._options.top
            return protocol.predictions(run, plan.settings, plan.labels, top, own_ranking=own)

    def side_by_side(self, name: str) -> tuple[Callable[[], object] | None, Callable[[], object]]:
        """An image's inference without a sandbox (None when the host has no model) and with it.

        Both start from the prepared tensor and end with the scores.
        """
        tensor, environ = self._input(name, {})
        graph = self._loading.graph()

        def sandboxed() -> object:
            return self._run(name, {}, stdin=bytes(tensor.data), environ=environ)

        if graph is None:
            return None, sandboxed
        context = graph.open()

        def direct() -> object:
            context.set_input(0, tensor)
            context.compute()
            return context.output(0)

        return direct, sandboxed

    def _input(self, name: str, timings: dict[str, float]) -> tuple[Tensor, list[tuple[str, str]]]:
        """The picture as the worker's input, and the variables that describe it."""
        from wasmlrun.pipeline.protocols import tensor as protocol
        from wasmlrun.support.tensor import byte_size
        from wasmlrun.vision import decode, preprocess, source

        plan = self._plan
        with (
            _timed(timings, "image"),
            span(self._trace, "image", image=name),
            self._board.doing(Stage.IMAGE, name),
        ):
            side = plan.settings.size
            pixels = decode.decode(
                source.read_image(name),
                name,
                at_least=max(side) if side else 2 * preprocess.DEFAULT_SIZE,
                max_pixels=self._options.max_pixels,
            )
        with _timed(timings, "model"), span(self._trace, "wait for model"):
            graph = self._loading.graph()
        with _timed(timings, "input"), span(self._trace, "input", image=name):
            spec = preprocess.resolve(plan.settings, _picture_input(graph))
            # before it is made: a model may ask for a picture of any size
            size = byte_size(spec.shape, spec.dtype)
            if size > plan.limits.tensor_bytes:
                what = f"the model wants a picture of {spec.height} × {spec.width}, {size} bytes"
                raise exceeded("tensor_bytes", plan.limits.tensor_bytes, what)
            tensor = preprocess.to_tensor(pixels, spec)
        environ: list[tuple[str, str]] = []
        if plan.model is not None:
            encoding = plan.source.encoding if plan.source else None
            output = graph.outputs[0] if graph is not None and graph.outputs else None
            environ = protocol.environment(tensor, plan.model, encoding, output)
        return tensor, environ

    def _run(
        self,
        name: str,
        timings: dict[str, float],
        *,
        stdin: bytes,
        environ: Sequence[tuple[str, str]] = (),
    ) -> GuestRun:
        """One fresh instance, from start to end. Raises when it failed."""
        from wasmlrun.sandbox.clock import Clock
        from wasmlrun.sandbox.outcome import explain
        from wasmlrun.wasi_nn.session import Session

        plan = self._plan
        with _timed(timings, "worker"), span(self._trace, "wait for worker"):
            linked = self._linked()
        session = Session(
            self._loading.pool,
            plan.models,
            nhwc_input=plan.grant.nhwc_input,
            limits=plan.limits,
            allowed_models=plan.grant.allowed_models,
            allowed_backends=plan.grant.allowed_backends,
            observer=self._trace.observer() if self._trace is not None else None,
        )
        try:
            with (
                _timed(timings, "run"),
                span(self._trace, "run", image=name),
                self._board.doing(Stage.GUEST, name),
            ):
                run = linked.run(
                    session=session,
                    clock=Clock(self._board.deadline or math.inf),
                    arguments=plan.arguments,
                    environ=environ,
                    stdin=stdin,
                    stderr=self._messages.guest,
                )
        finally:
            session.close()
        self._idle.append(linked)
        timings["inference"] = session.inference_seconds * 1000
        if run.exit_code != 0:
            raise explain(run, f"worker {plan.worker.name} exited with code {run.exit_code}")
        return run

    def _linked(self) -> LinkedWorker:
        """A linked worker that nobody uses: it runs one instance at a time."""
        worker = self._worker.result()
        try:
            return self._idle.pop()
        except IndexError:
            return worker.linked(self._plan.grant)

    def _load_worker(self) -> Worker:
        from wasmlrun.sandbox.clock import prepare_alarm
        from wasmlrun.sandbox.worker import Runtime, Worker

        runtime = Runtime(self._plan.limits, self._cache)
        prepare_alarm()
        with span(self._trace, "worker", worker=self._plan.shown_worker):
            worker = Worker(runtime, self._plan.worker)
            self._idle.append(worker.linked(self._plan.grant))
        return worker


def _picture_input(graph: Graph | None) -> Port | None:
    if graph is None:
        return None
    if len(graph.inputs) != 1:
        raise BadModel(
            f"the model has {len(graph.inputs)} inputs; a classifier has one, the picture"
        )
    return graph.inputs[0]


def _since_process_start() -> float | None:
    """Milliseconds since whoever started this process did so, if it says when."""
    started = os.environ.get(STARTED)
    return (time.monotonic_ns() - int(started)) / 1e6 if started else None


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds of the block to a table."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - started) * 1000
