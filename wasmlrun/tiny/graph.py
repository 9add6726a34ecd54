"""One small graph for models of every format: tensors, quantisation, operators.

Pictures lie as [batch, height, width, channels] and 8-bit numbers are signed, whatever the file
had; the readers see to it. Shapes are those of the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

SIZES = {"i8": 1, "u8": 1, "f16": 2, "i32": 4, "f32": 4, "i64": 8, "bool": 1}
NUMPY = {
    "i8": np.int8,
    "u8": np.uint8,
    "f16": np.float16,
    "i32": np.int32,
    "f32": np.float32,
    "i64": np.int64,
    "bool": np.bool_,
}


@dataclass(frozen=True, slots=True)
class Quant:
    """real = scale × (stored − zero), for the whole tensor or for each slice along `axis`."""

    scale: tuple[float, ...]
    zero: tuple[int, ...]
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """Whether slices have scales of their own."""
        return len(self.scale) > 1


@dataclass(slots=True)
class Value:
    """A tensor: an activation, or with `data` a constant."""

    name: str
    shape: Shape
    dtype: str
    quant: Quant | None = None
    data: Array | None = None
    stored: Value | None = None
    """The bytes that the floats of a constant were in the file."""

    @property
    def scaling(self) -> Quant:
        """Its quantisation, of a tensor that `support` has seen to have one."""
        assert self.quant is not None
        return self.quant

    @property
    def count(self) -> int:
        """Number of its elements."""
        return prod(self.shape)

    @property
    def size(self) -> int:
        """How many bytes it takes."""
        return self.count * SIZES[self.dtype]


@dataclass(slots=True)
class Node:
    """One operation. `op` is one of `packable.OPERATORS`, or what the file calls it."""

    op: str
    name: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Any:
        return self.attributes[key]


@dataclass(slots=True)
class Graph:
    """A model: its nodes in an order in which they can be computed."""

    values: dict[str, Value] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    variables: dict[str, Value] = field(default_factory=dict)
    """State that lives from one inference to the next, with what it begins as."""

    def value(self, name: str) -> Value:
        """The tensor of that name."""
        return self.values[name]

    def data(self, name: str) -> Array:
        """The numbers of a constant."""
        data = self.values[name].data
        assert data is not None
        return data

    def constant(self, name: str) -> bool:
        """Whether a tensor's numbers are in the model."""
        return bool(name) and self.values[name].data is not None

    def add(self, value: Value) -> str:
        """Take a tensor in under a name that is free; the name."""
        name, number = value.name, 1
        while name in self.values:
            name = f"{value.name}_{number}"
            number += 1
        value.name = name
        self.values[name] = value
        return name

    def uses(self) -> dict[str, list[Node]]:
        """The nodes that read each tensor."""
        found: dict[str, list[Node]] = {}
        for node in self.nodes:
            for name in node.inputs:
                found.setdefault(name, []).append(node)
        return found

    def activations(self) -> Iterator[Value]:
        """Tensors that are computed, the input first."""
        for name in self.inputs:
            yield self.values[name]
        for node in self.nodes:
            for name in node.outputs:
                yield self.values[name]


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """The shape that elementwise operations of these shapes give. Raises ValueError."""
    return tuple(np.broadcast_shapes(*shapes))


def row_major(shape: Shape) -> tuple[int, ...]:
    """How many elements apart neighbours along each axis are."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


def axis_of(axis: int, rank: int) -> int:
    """An axis that may be counted from the end."""
    return axis + rank if axis < 0 else axis


Attributes = Mapping[str, Any]
