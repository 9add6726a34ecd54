"""An engine that computes nothing of its own: what reaches it is shown, and it fails on demand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from wasmlrun.engines.protocol import About, EngineError, Port
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor

F32 = DType.F32
ABOUT = About("fake", "It fakes.", "wasmlrun", "wasmlrun", tuple(Encoding))


@dataclass
class FakeEngine:
    """Every model has these ports; outputs are computed by `function` from the inputs."""

    inputs: Sequence[Port] = (Port("x", (1, 4), F32),)
    outputs: Sequence[Port] = (Port("y", (1, 4), F32),)
    function: Callable[[dict[int, Tensor]], dict[int, Tensor]] = lambda inputs: dict(inputs)
    found: Sequence[str] = ("CPU",)
    fail: str | None = None
    """Which step refuses: load, open, set_input, compute or output."""
    loads: list[tuple[ModelSource, str]] = field(default_factory=list)
    graphs: list[FakeGraph] = field(default_factory=list)

    about: About = ABOUT

    def prepare(self) -> None:
        pass

    def version(self) -> str:
        return "1"

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
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.inputs = engine.inputs
        self.outputs = engine.outputs
        self.closed = False
        self.contexts: list[FakeContext] = []

    def open(self) -> FakeContext:
        self._engine.refuse("open")
        context = FakeContext(self._engine)
        self.contexts.append(context)
        return context

    def close(self) -> None:
        self.closed = True


class FakeContext:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self.given: dict[int, Tensor] = {}
        self.results: dict[int, Tensor] = {}
        self.closed = False

    def set_input(self, index: int, tensor: Tensor) -> None:
        self._engine.refuse("set_input")
        self.given[index] = tensor

    def compute(self) -> None:
        self._engine.refuse("compute")
        self.results = self._engine.function(self.given)

    def output(self, index: int) -> Tensor:
        self._engine.refuse("output")
        return self.results[index]

    def close(self) -> None:
        self.closed = True
