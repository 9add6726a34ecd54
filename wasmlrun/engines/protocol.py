"""Inference engines behind one seam.

A backend loads a graph from model files, a graph opens execution contexts, a context takes
inputs, computes and gives outputs. Backends see tensors and files, never guest memory; what
calls them (`wasmlrun.wasi_nn.session`) sees this Protocol, never an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.records import Record
from wasmlrun.support.tensor import DType, Tensor


class EngineError(Exception):
    """The engine refused a model or a computation; the message is for people."""


class OutOfMemoryError(EngineError):
    """The engine wanted more memory than the process may have."""


class Port(Record):
    """One input or output of a graph. In `shape`, -1 is a size that is free."""

    name: str
    shape: tuple[int, ...]
    dtype: DType


class Context(Protocol):
    """An execution context: the inputs and outputs of one computation at a time."""

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Give input `index` a tensor that fits its port. Raises EngineError."""

    def compute(self) -> None:
        """Run the graph on the inputs. Raises EngineError."""

    def output(self, index: int) -> Tensor:
        """Output `index` of the last computation, copied. Raises EngineError."""

    def close(self) -> None:
        """Free what the engine holds for this context."""


class Graph(Protocol):
    """A model that is ready to run on a device."""

    @property
    def inputs(self) -> Sequence[Port]:
        """In the model's order."""

    @property
    def outputs(self) -> Sequence[Port]:
        """In the model's order."""

    def open(self) -> Context:
        """A new execution context. Raises EngineError."""

    def close(self) -> None:
        """Free what the engine holds for this graph."""


class Backend(Protocol):
    """An inference engine."""

    @property
    def name(self) -> str:
        """As in a manifest's `allowed_backends`."""

    def devices(self) -> Sequence[str]:
        """Devices found on this machine, such as `CPU`, `GPU`, `NPU`."""

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> Graph:
        """Read a model and make it ready for `device`. Raises EngineError.

        `underway` is called when only the engine's own work is left, which leaves Python to
        other threads.
        """
