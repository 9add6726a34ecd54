"""A backend without an engine: it shows what reaches an engine and fails where it is told to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wasmlrun.engines.protocol import EngineError, Port
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.tensor import DType, Tensor

F32 = DType.F32


@dataclass
class FakeBackend:
    """Every model has these ports; outputs are computed by `function` from the inputs."""

    inputs: Sequence[Port] = (Port("x", (1, 4), F32),)
    outputs: Sequence[Port] = (Port("y", (1, 4), F32),)
    function: Callable[[dict[int, Tensor]], dict[int, Tensor]] = lambda inputs: dict(inputs)
    found: Sequence[str] = ("CPU",)
    fail: str | None = None
    """Which step refuses: load, open, set_input, compute or output."""
    name: str = "openvino"
    loads: list[tuple[ModelSource, str]] = field(default_factory=list)
    graphs: list[FakeGraph] = field(default_factory=list)

    def devices(self) -> Sequence[str]:
        return self.found

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> FakeGraph:
        self.refuse("load")
        underway()
        self.loads.append((source, device))
        graph = FakeGraph(self)
        self.graphs.append(graph)
        return graph

    def refuse(self, step: str) -> None:
        if self.fail == step:
            raise EngineError(f"the fake refuses to {step}")


class FakeGraph:
    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self.inputs = backend.inputs
        self.outputs = backend.outputs
        self.closed = False
        self.contexts: list[FakeContext] = []

    def open(self) -> FakeContext:
        self._backend.refuse("open")
        context = FakeContext(self._backend)
        self.contexts.append(context)
        return context

    def close(self) -> None:
        self.closed = True


class FakeContext:
    def __init__(self, backend: FakeBackend) -> None:
        self._backend = backend
        self.given: dict[int, Tensor] = {}
        self.results: dict[int, Tensor] = {}
        self.closed = False

    def set_input(self, index: int, tensor: Tensor) -> None:
        self._backend.refuse("set_input")
        self.given[index] = tensor

    def compute(self) -> None:
        self._backend.refuse("compute")
        self.results = self._backend.function(self.given)

    def output(self, index: int) -> Tensor:
        self._backend.refuse("output")
        return self.results[index]

    def close(self) -> None:
        self.closed = True
