"""An inference engine in pure Python, as another package would bring one.

Its models are one layer: `<toy input="1,4,4,3" classes="5"/>` and f32 weights, one row an element
of the input. With its two files of metadata this is all that such a package needs.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence

from wasmlrun.engines.protocol import About, EngineError, Port, Settings
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor

ABOUT = About(
    name="toy",
    description="One layer, in Python",
    module="toy_engine",
    distribution="toy-engine",
    encodings=(Encoding.OPENVINO,),
    devices={"CPU": "the processor"},
)


def create(settings: Settings) -> ToyEngine:
    """Make the engine."""
    return ToyEngine()


class ToyEngine:
    """Multiplies."""

    about = ABOUT

    def prepare(self) -> None:
        """Nothing is needed."""

    def version(self) -> str:
        """Of the package."""
        return "1.0"

    def devices(self) -> Sequence[str]:
        """The processor alone."""
        return ["CPU"]

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> ToyGraph:
        """Read the layer."""
        if source.encoding not in ABOUT.encodings:
            raise EngineError(f"a toy does not read {source.encoding.value} models")
        if device != "CPU":
            raise EngineError(f"a toy has no {device}")
        underway()
        text, weights = source.parts
        found = re.fullmatch(rb'<toy input="([\d,]+)" classes="(\d+)"/>\s*', text)
        if found is None:
            raise EngineError("this is no toy")
        shape, classes = tuple(map(int, found[1].split(b","))), int(found[2])
        if len(weights) != 4 * math.prod(shape) * classes:
            raise EngineError("the toy has too few weights, or too many")
        return ToyGraph(shape, classes, struct.unpack(f"<{len(weights) // 4}f", weights))


class ToyGraph:
    """A layer."""

    def __init__(self, shape: tuple[int, ...], classes: int, weights: Sequence[float]) -> None:
        self.inputs = [Port("x", shape, DType.F32)]
        self.outputs = [Port("y", (1, classes), DType.F32)]
        self._weights = weights
        self._closed = False

    def open(self) -> ToyContext:
        """A context."""
        if self._closed:
            raise EngineError("the graph was closed")
        return ToyContext(self.inputs[0], self.outputs[0], self._weights)

    def close(self) -> None:
        """No more contexts."""
        self._closed = True


class ToyContext:
    """One computation."""

    def __init__(self, given: Port, wanted: Port, weights: Sequence[float]) -> None:
        self._given = given
        self._wanted = wanted
        self._weights = weights
        self._values: Sequence[float] = ()
        self._answer = b""

    def set_input(self, index: int, tensor: Tensor) -> None:
        """The picture."""
        if index != 0 or (tensor.shape, tensor.dtype) != (self._given.shape, DType.F32):
            raise EngineError(f"input {index} cannot be {tensor}")
        self._values = struct.unpack(f"<{len(tensor.data) // 4}f", tensor.data)

    def compute(self) -> None:
        """Values × weights."""
        classes = self._wanted.shape[1]
        sums = [
            sum(v * w for v, w in zip(self._values, self._weights[c::classes], strict=True))
            for c in range(classes)
        ]
        self._answer = struct.pack(f"<{classes}f", *sums)

    def output(self, index: int) -> Tensor:
        """The scores."""
        if index != 0:
            raise EngineError(f"there is no output {index}")
        return Tensor(self._wanted.shape, DType.F32, self._answer)

    def close(self) -> None:
        """Nothing is held."""
