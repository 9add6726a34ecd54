"""`infer` from start to end: a file → tensors → worker → outputs → what they are made into."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from wasmlrun.engines.protocol import Graph
from wasmlrun.inference.arrays import array_of
from wasmlrun.inference.constants import constant
from wasmlrun.inference.inputs.tensor import fitted, load
from wasmlrun.inference.kind import Context, Given, Made, Wanted
from wasmlrun.pipeline.inference_plan import InferPlan
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.plan import hosted
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.supervisor.stages import Stage
from wasmlrun.support.errors import BadModel, WorkerFailed
from wasmlrun.support.limits import MAX_PIXELS, exceeded
from wasmlrun.support.messages import Messages
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import Record, replace
from wasmlrun.support.tensor import Tensor
from wasmlrun.trace.spans import span

if TYPE_CHECKING:
    from wasmlrun.host import Host


T = TypeVar("T")


class Inference(Record):
    """The answer for one file."""

    source: str
    worker: str
    model: str | None
    kind: str
    made: Made
    timings_ms: Mapping[str, float]


def infer(
    source: str,
    inputs: Sequence[tuple[str, str]],
    planned: InferPlan,
    host: Host,
    messages: Messages,
    *,
    max_pixels: int = MAX_PIXELS,
    written_to: Path | None = None,
) -> Inference:
    """Run the model on a file, and on arrays for further inputs, `(NAME, FILE)` each.

    `written_to` is the file that the answer's is meant for; its suffix decides the form.

    Raises:
        WasmlrunError: of the kind of what went wrong.
    """
    started = time.perf_counter()
    plan, settings, board = planned.plan, planned.settings, host.board
    for sentence in plan.raised:
        messages.warn(sentence)
    board.lower_timeout(plan.limits.timeout)
    bound_memory(plan.limits.process_memory)
    host = hosted(plan, replace(host, clock=Clock(board.deadline)))
    timings: dict[str, float] = {}
    timed = _Timed(timings)
    try:
        loading = Loading(plan, host)
        linked = timed("worker", lambda: host.worker(plan.worker, plan.shown_worker)).linked(
            plan.grant
        )
        graph = timed("model", loading.graph)
        assert graph is not None
        with span(host.trace, "input", input=source), board.doing(Stage.IMAGE, source):
            given = timed("input", lambda: _given(source, planned, graph, max_pixels))
        tensors = _all(given, inputs, planned, graph)
        with messages.guest() as said:
            run = timed(
                "run",
                lambda: host.run(
                    linked,
                    source,
                    arguments=plan.arguments,
                    environ=_environment(str(plan.model), tensors, graph),
                    stdin=b"".join(bytes(tensor.data) for tensor in tensors),
                    stderr=said,
                    keeping=True,
                ),
            )
        outputs = [(name, array_of(tensor)) for name, tensor in _fetched(run, planned, graph)]
        context = Context(given, settings.labels, written_to.suffix.lower() if written_to else "")
        made = timed(
            "output", lambda: settings.output.make(outputs, settings.output_options, context)
        )
    except MemoryError as e:
        raise exceeded("process_memory", plan.limits.process_memory, f"{source} takes more") from e
    timings["inference"] = run.inference_seconds * 1000
    timings["total"] = (time.perf_counter() - started) * 1000
    return Inference(
        source, plan.shown_worker, plan.shown_model, settings.output_name, made, timings
    )


class _Timed:
    """Calls something and adds its milliseconds to a table."""

    def __init__(self, timings: dict[str, float]) -> None:
        self._timings = timings

    def __call__(self, stage: str, call: Callable[[], T]) -> T:
        started = time.perf_counter()
        try:
            return call()
        finally:
            self._timings[stage] = (time.perf_counter() - started) * 1000


def _given(source: str, planned: InferPlan, graph: Graph, max_pixels: int) -> Given:
    settings = planned.settings
    kind, options = settings.input_for(source, graph.inputs)
    wanted = Wanted(graph.inputs, settings.labels, settings.output.resize, max_pixels)
    return kind.read(source, options, wanted)


def _all(
    given: Given, inputs: Sequence[tuple[str, str]], planned: InferPlan, graph: Graph
) -> list[Tensor]:
    """Every input's tensor, in the model's order. Raises BadModel."""
    ports = {port.name: (number, port) for number, port in enumerate(graph.inputs)}
    known = f"its inputs: {', '.join(ports)}"
    tensors = dict(given.tensors)
    for name, value in planned.settings.constants.items():
        if name not in ports:
            raise BadModel(f"infer.constants.{name}: the model has no such input", known)
        number, port = ports[name]
        tensors.setdefault(number, constant(value, port, planned.settings.where))
    for name, file in inputs:
        if name not in ports:
            raise BadModel(f"--input {name}: the model has no such input", known)
        number, port = ports[name]
        arrays = load(file)
        if len(arrays) != 1:
            raise BadModel(f"--input {name}: {file} holds {len(arrays)} arrays", "give one of them")
        tensors[number] = fitted(next(iter(arrays.values())), port, file)
    missing = [port.name for number, port in enumerate(graph.inputs) if number not in tensors]
    if missing:
        raise BadModel(
            f"the model's input {missing[0]} is given by nothing ({known})",
            f"--input {missing[0]}=FILE.npy, or --set 'constants.\"{missing[0]}\"=0'",
        )
    limit = planned.plan.limits.tensor_bytes
    size = sum(len(tensor.data) for tensor in tensors.values())
    if size > limit:
        raise exceeded("tensor_bytes", limit, f"the model's inputs have {size} bytes")
    return [tensors[number] for number in range(len(graph.inputs))]


def _environment(model: str, tensors: Sequence[Tensor], graph: Graph) -> list[tuple[str, str]]:
    """The variables of the protocol `tensors`."""
    said = (f"{t.dtype.value}:{','.join(map(str, t.shape))}" for t in tensors)
    return [
        ("WASMLRUN_MODEL", model),
        ("WASMLRUN_INPUTS", " ".join(said)),
        ("WASMLRUN_OUTPUTS", str(len(graph.outputs))),
    ]


def _fetched(run: GuestRun, planned: InferPlan, graph: Graph) -> list[tuple[str, Tensor]]:
    """The outputs that the guest fetched, in the model's order, with their names.

    Raises:
        WorkerFailed, BadModel: it failed, or fetched none.
    """
    plan = planned.plan
    shown = plan.grant.shown or plan.worker.name
    if run.exit_code != 0:
        raise explain(run, f"worker {shown} exited with code {run.exit_code}")
    found = []
    for number, port in enumerate(graph.outputs):
        tensor = run.outputs.get(number) or run.outputs.get(port.name)
        if tensor is not None:
            found.append((port.name, tensor))
    if not found:
        raise WorkerFailed(f"worker {shown} fetched no output of the model")
    return found
