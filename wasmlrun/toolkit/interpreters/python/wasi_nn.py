"""WASI-NN for Python workers: a model is loaded by name, given tensors, run, and asked.

Runs inside WebAssembly, as part of the Python that wasmlrun prepares for scripts.
"""

from __future__ import annotations

from typing import Any

from componentize_py_types import Err
from wit_world.imports import graph as _graph
from wit_world.imports import tensor as _tensor

_TYPES = {
    "f16": _tensor.TensorType.FP16,
    "f32": _tensor.TensorType.FP32,
    "u8": _tensor.TensorType.U8,
    "i8": _tensor.TensorType.U8,
    "i32": _tensor.TensorType.I32,
    "i64": _tensor.TensorType.I64,
}


class NnError(Exception):
    """A call that the host refused; `code` is WASI-NN's name for the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class NotFound(NnError):
    """The host knows no model of this name."""


class Tensor:
    """A model's input: its dimensions, "u8", "f32" …, and its bytes."""

    def __init__(self, dims: list[int], type: str, data: bytes) -> None:
        if type not in _TYPES:
            raise ValueError(f"unknown type {type}")
        self.dims = list(dims)
        self.type = type
        self.data = bytes(data)


class Graph:
    """A loaded model."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    @classmethod
    def load_by_name(cls, name: str) -> Graph:
        """The model that the host knows by this name."""
        return cls(_checked(_graph.load_by_name, name))

    def open(self) -> Context:
        """A context for computations."""
        return Context(_checked(self._handle.init_execution_context))


class Context:
    """A model's inputs and outputs for one computation after another."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._inputs: dict[int, Tensor] = {}
        self._outputs: list[Any] = []

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Give the model an input, for `compute`."""
        self._inputs[index] = tensor

    def compute(self) -> None:
        """Run the model."""
        inputs = [
            (str(index), _tensor.Tensor(t.dims, _TYPES[t.type], t.data))
            for index, t in self._inputs.items()
        ]
        self._outputs = _checked(self._handle.compute, inputs)

    def output(self, index: int) -> bytes:
        """The bytes of an output: `memoryview(…).cast("f")` makes floats of them."""
        if index >= len(self._outputs):
            raise NnError("invalid-argument", f"there is no output {index}; was it computed?")
        return bytes(self._outputs[index][1].data())


def _checked(function: Any, *arguments: Any) -> Any:
    try:
        return function(*arguments)
    except Err as error:
        code = error.value.code().name.lower().replace("_", "-")
        kind = NotFound if code == "not-found" else NnError
        raise kind(code, error.value.data()) from None
