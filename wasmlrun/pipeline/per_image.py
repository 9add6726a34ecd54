"""What one image goes through: its pixels, the worker, the engine, its labels.

The worker and then the first picture are prepared while the model is loaded
(`wasmlrun.pipeline.loading`). What is not needed yet is not imported yet.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from wasmlrun.pipeline.expectation import judge
from wasmlrun.pipeline.honesty import is_sure
from wasmlrun.pipeline.plan import ClassifyOptions, Plan
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.supervisor.stages import Stage
from wasmlrun.support.errors import BadModel, WasmlrunError
from wasmlrun.support.limits import exceeded
from wasmlrun.support.messages import Messages
from wasmlrun.support.records import replace
from wasmlrun.support.tasks import Task, parallel
from wasmlrun.trace.spans import span
from wasmlrun.vision.labels import Prediction

if TYPE_CHECKING:
    from PIL import Image

    from wasmlrun.engines.protocol import Graph, Port
    from wasmlrun.host import Host
    from wasmlrun.pipeline.loading import Loading
    from wasmlrun.sandbox.clock import Clock
    from wasmlrun.sandbox.outcome import GuestRun
    from wasmlrun.sandbox.worker import LinkedWorker, Worker
    from wasmlrun.support.tensor import Tensor
    from wasmlrun.vision.source import ImageSource

STARTED = "WASMLRUN_STARTED_NS"
"""Set by `wasmlrun bench`: the monotonic clock when it started this process."""


class Classifier:
    """The worker and the model, prepared once, and what an image goes through."""

    def __init__(
        self,
        plan: Plan,
        options: ClassifyOptions,
        host: Host,
        loading: Loading,
        messages: Messages,
    ) -> None:
        self._plan = plan
        self._options = options
        self._host = host
        self._loading = loading
        self._messages = messages
        self._idle: list[LinkedWorker] = []
        self._layout_told = False
        self._start = _since_process_start()
        self._worker: Task[Worker] = Task(self._load_worker)
        # one after the other: two threads that import modules only get into each other's way
        self._worker.wait()

    def ready(self) -> None:
        """Wait until the worker is compiled and the model loaded. Raises WasmlrunError."""
        self._worker.result()
        self._loading.graph()

    def outcomes(
        self, images: Sequence[ImageSource]
    ) -> Iterator[tuple[ImageSource, ImageResult | WasmlrunError]]:
        """Each image's result or error, in order.

        Several images go through in parallel, a bounded number of them at once; each in an
        instance of its own.
        """
        threads = parallel(len(images), careful=self._host.board.careful)
        if threads <= 1:
            for image in images:
                yield image, self._outcome(image)
            return
        from wasmlrun.support.in_order import in_order

        yield from in_order(self._outcome, images, threads, ahead=2 * threads)

    def _outcome(self, image: ImageSource) -> ImageResult | WasmlrunError:
        try:
            return self.classify(image)
        except WasmlrunError as error:
            return error

    def classify(
        self, image: ImageSource, clock: Clock | None = None, top: int | None = None
    ) -> ImageResult:
        """One image's answer. Without a clock of its own it has the host's, without `top` as many
        predictions as the options say.

        Raises:
            WasmlrunError: of the kind of what went wrong.
        """
        host = self._host if clock is None else replace(self._host, clock=clock)
        try:
            return self._classify(image, host, self._options.top if top is None else top)
        except MemoryError as e:
            limit = self._plan.limits.process_memory
            raise exceeded("process_memory", limit, f"image {image.name} takes more") from e

    def _classify(self, image: ImageSource, host: Host, top: int) -> ImageResult:
        started = time.perf_counter()
        timings: dict[str, float] = {}
        if self._start is not None:
            timings["start"], self._start = self._start, None
        if self._plan.settings.protocol == "wws":
            predictions = self._by_wws(image, host, timings, top)
        else:
            predictions = self._by_tensor(image, host, timings, top)
        timings["total"] = (time.perf_counter() - started) * 1000
        return ImageResult(
            image.name,
            self._plan.shown_worker,
            self._plan.shown_model,
            predictions,
            timings,
            judge(predictions, self._options.expect, self._options.min_score),
            is_sure(predictions, self._plan.settings.unsure_below),
        )

    def _by_wws(
        self, image: ImageSource, host: Host, timings: dict[str, float], top: int
    ) -> list[Prediction]:
        from wasmlrun.pipeline.protocols import wws
        from wasmlrun.vision import decode

        name = image.name
        with _timed(timings, "image"), span(host.trace, "image", image=name):
            data = image.encoded()
            # the worker decodes for itself; what is no image is told here, in plain words
            with host.board.doing(Stage.IMAGE, name):
                pixels = decode.decode(data, name, max_pixels=self._options.max_pixels)
        interleaved = None if host.grant.layout_said else self._layout_of(pixels)
        run = self._run(host, name, timings, stdin=wws.image_request(data), interleaved=interleaved)
        return wws.predictions(run, top)

    def _layout_of(self, pixels: Image.Image) -> Callable[[Tensor], bool]:
        """Tells whether a tensor has the picture's bytes in old hosts' order; says so once."""

        def interleaved(tensor: Tensor) -> bool:
            from wasmlrun.vision.interleaved import is_interleaved

            found = is_interleaved(tensor, pixels)
            if found and not self._layout_told:
                self._layout_told = True
                self._messages.warn(
                    "the worker says N,C,H,W and sends the picture as H×W×C, as hosts of before "
                    "mid-2024 had it: corrected; --input-layout nhwc or nchw says it"
                )
            return found

        return interleaved

    def _by_tensor(
        self, image: ImageSource, host: Host, timings: dict[str, float], top: int
    ) -> list[Prediction]:
        from wasmlrun.pipeline.protocols import tensor as protocol

        plan = self._plan
        tensor, environ = self._input(image, timings)
        run = self._run(host, image.name, timings, stdin=bytes(tensor.data), environ=environ)
        # a guest that was told no model was not built for this protocol: what it prints is its own
        own = plan.model is not None
        if not own and run.output is not None:
            with self._messages.guest() as said:
                said(run.stdout)
        with _timed(timings, "labels"), span(host.trace, "labels", image=image.name):
            return protocol.predictions(run, plan.settings, plan.labels, top, own_ranking=own)

    def side_by_side(
        self, image: ImageSource
    ) -> tuple[Callable[[], object] | None, Callable[[], object]]:
        """An image's inference without a sandbox (None when the host has no model) and with it.

        Both start from the prepared tensor and end with the scores.
        """
        tensor, environ = self._input(image, {})
        graph = self._loading.graph()

        def sandboxed() -> object:
            return self._run(self._host, image.name, {}, stdin=bytes(tensor.data), environ=environ)

        if graph is None:
            return None, sandboxed
        context = graph.open()

        def direct() -> object:
            context.set_input(0, tensor)
            context.compute()
            return context.output(0)

        return direct, sandboxed

    def infer(self, inputs: Sequence[tuple[str, Tensor]], clock: Clock) -> list[tuple[str, Tensor]]:
        """Outputs by name for tensors by name, "" being the next input. A model of one input and
        one output is asked by the worker, in a fresh instance; any other by the engine itself.

        Raises:
            BadModel: the tensors are not what the model takes. WorkerFailed, LimitExceeded.
        """
        from wasmlrun.engines.protocol import EngineError
        from wasmlrun.pipeline.protocols import tensor as protocol

        plan, graph = self._plan, self._loading.graph()
        if graph is None:
            raise BadModel("only the worker knows its model: there are no tensors to give it")
        given = _by_port(graph, inputs)
        if len(graph.inputs) == len(graph.outputs) == 1 and plan.model is not None:
            encoding = plan.source.encoding if plan.source else None
            run = self._run(
                replace(self._host, clock=clock),
                "tensor",
                {},
                stdin=bytes(given[0].data),
                environ=protocol.environment(given[0], plan.model, encoding, graph.outputs[0]),
            )
            if run.output is not None:
                return [(graph.outputs[0].name, run.output)]
        context = graph.open()
        try:
            for number, tensor in enumerate(given):
                context.set_input(number, tensor)
            with self._host.board.doing(Stage.INFERENCE, plan.shown_model or "the model"):
                context.compute()
            return [(port.name, context.output(n)) for n, port in enumerate(graph.outputs)]
        except EngineError as e:
            raise BadModel(f"the model cannot be run on these tensors: {e}") from e
        finally:
            context.close()

    def _input(
        self, image: ImageSource, timings: dict[str, float]
    ) -> tuple[Tensor, list[tuple[str, str]]]:
        """The picture as the worker's input, and the variables that describe it."""
        from wasmlrun.pipeline.protocols import tensor as protocol
        from wasmlrun.support.tensor import byte_size
        from wasmlrun.vision import preprocess

        plan, host, name = self._plan, self._host, image.name
        with (
            _timed(timings, "image"),
            span(host.trace, "image", image=name),
            host.board.doing(Stage.IMAGE, name),
        ):
            side = plan.settings.size
            pixels = image.decoded(
                at_least=max(side) if side else 2 * preprocess.DEFAULT_SIZE,
                max_pixels=self._options.max_pixels,
            )
        with _timed(timings, "model"), span(host.trace, "wait for model"):
            graph = self._loading.graph()
        with _timed(timings, "input"), span(host.trace, "input", image=name):
            spec = preprocess.resolve(plan.settings, picture_input(graph))
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
            output = output if output is not None and output.declared else None
            environ = protocol.environment(tensor, plan.model, encoding, output)
        return tensor, environ

    def _run(
        self,
        host: Host,
        name: str,
        timings: dict[str, float],
        *,
        stdin: bytes,
        environ: Sequence[tuple[str, str]] = (),
        interleaved: Callable[[Tensor], bool] | None = None,
    ) -> GuestRun:
        """One fresh instance, from start to end. Raises when it failed."""
        from wasmlrun.sandbox.outcome import explain

        plan = self._plan
        with _timed(timings, "worker"), span(host.trace, "wait for worker"):
            linked = self._linked()
        with _timed(timings, "run"), self._messages.guest() as said:
            run = host.run(
                linked,
                name,
                arguments=plan.arguments,
                environ=environ,
                stdin=stdin,
                stderr=said,
                interleaved=interleaved,
                image=name,
            )
        self._idle.append(linked)
        timings["inference"] = run.inference_seconds * 1000
        if run.exit_code != 0:
            raise explain(
                run,
                f"worker {plan.grant.shown or plan.worker.name} exited with code {run.exit_code}",
            )
        return run

    def _linked(self) -> LinkedWorker:
        """A linked worker that nobody uses: it runs one instance at a time."""
        worker = self._worker.result()
        try:
            return self._idle.pop()
        except IndexError:
            return worker.linked(self._plan.grant)

    def _load_worker(self) -> Worker:
        worker = self._host.worker(self._plan.worker, self._plan.shown_worker)
        self._idle.append(worker.linked(self._plan.grant))
        return worker


def _by_port(graph: Graph, inputs: Sequence[tuple[str, Tensor]]) -> list[Tensor]:
    """The tensors in the order of the model's inputs. Raises BadModel."""
    from wasmlrun.support.tensor import describe

    names = [port.name for port in graph.inputs]
    if len(inputs) != len(names):
        raise BadModel(f"the model has {len(names)} inputs, {len(inputs)} were given")
    found: dict[int, Tensor] = {}
    for number, (name, tensor) in enumerate(inputs):
        if name and name not in names:
            raise BadModel(f"the model has no input {name}", f"it has: {', '.join(names)}")
        at = names.index(name) if name else number
        port = graph.inputs[at]
        fits = len(port.shape) == len(tensor.shape) and all(
            want in (-1, have) for want, have in zip(port.shape, tensor.shape, strict=True)
        )
        if not fits or tensor.dtype is not port.dtype or at in found:
            raise BadModel(
                f"input {names[at]} is {describe(port.shape, port.dtype)}, "
                f"given was {describe(tensor.shape, tensor.dtype)}"
            )
        found[at] = tensor
    return [found[number] for number in range(len(names))]


def picture_input(graph: Graph | None) -> Port | None:
    """A classifier's input; None without a graph. Raises BadModel where there are several."""
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
    if not started or not started.isdecimal() or len(started) > 20:
        return None
    return (time.monotonic_ns() - int(started)) / 1e6


@contextmanager
def _timed(timings: dict[str, float], stage: str) -> Iterator[None]:
    """Add the milliseconds of the block to a table."""
    started = time.perf_counter()
    try:
        yield
    finally:
        timings[stage] = timings.get(stage, 0.0) + (time.perf_counter() - started) * 1000
