"""Write an ONNX file: as much of the format as the networks beside it need.

ONNX is a protocol buffer, of which this writes the fields of onnx.proto by their numbers.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

_FLOAT, _INT64 = 1, 7
_ATTRIBUTE_FLOAT, _ATTRIBUTE_INT, _ATTRIBUTE_STRING, _ATTRIBUTE_INTS = 1, 2, 3, 7
IR_VERSION: Final = 8
OPSET: Final = 13
_ELEMENTS: Final = {"f32": _FLOAT, "i64": _INT64}

Value = float | int | str | Sequence[int]
"""An attribute of a node."""


class Graph:
    """A graph that grows node by node; every node has one output, which is named after it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._inputs: list[bytes] = []
        self._outputs: list[bytes] = []

    def input(self, name: str, shape: Sequence[int | str], kind: str = "f32") -> str:
        """An input; a size that is free has a name. `kind` is `f32` or `i64`."""
        self._inputs.append(_value_info(name, shape, kind))
        return name

    def output(self, name: str, shape: Sequence[int | str]) -> None:
        """A node's output, of f32 numbers, becomes one of the model's."""
        self._outputs.append(_value_info(name, shape))

    def constant(self, name: str, kind: str, shape: Sequence[int], data: bytes) -> str:
        """Numbers that the file stores; `kind` is `f32` or `i64`."""
        dims = b"".join(_number(1, side) for side in shape)
        kind_number = _number(2, _ELEMENTS[kind])
        self._constants.append(dims + kind_number + _text(8, name) + _bytes(9, data))
        return name

    def node(self, operator: str, name: str, inputs: Sequence[str], **attributes: Value) -> str:
        """A node; the name of its output comes back."""
        body = b"".join(_text(1, source) for source in inputs)
        body += _text(2, name) + _text(3, name) + _text(4, operator)
        body += b"".join(_bytes(5, part) for part in _attributes(attributes))
        self._nodes.append(body)
        return name

    def to_bytes(self) -> bytes:
        """The bytes of the ONNX file."""
        graph = b"".join(_bytes(1, node) for node in self._nodes)
        graph += _text(2, self._name)
        graph += b"".join(_bytes(5, constant) for constant in self._constants)
        graph += b"".join(_bytes(11, port) for port in self._inputs)
        graph += b"".join(_bytes(12, port) for port in self._outputs)
        opset = _text(1, "") + _number(2, OPSET)
        head = _number(1, IR_VERSION) + _text(2, "wasmlrun")
        return head + _bytes(7, graph) + _bytes(8, opset)


def _attributes(attributes: Mapping[str, Value]) -> list[bytes]:
    parts = []
    for name, value in attributes.items():
        if isinstance(value, str):
            told, kind = _text(4, value), _ATTRIBUTE_STRING
        elif isinstance(value, float):
            told, kind = b"\x15" + struct.pack("<f", value), _ATTRIBUTE_FLOAT
        elif isinstance(value, int):
            told, kind = _number(3, value), _ATTRIBUTE_INT
        else:
            told, kind = b"".join(_number(8, one) for one in value), _ATTRIBUTE_INTS
        parts.append(_text(1, name) + told + _number(20, kind))
    return parts


def _value_info(name: str, shape: Sequence[int | str], kind: str = "f32") -> bytes:
    dims = b"".join(
        _bytes(1, _text(2, side) if isinstance(side, str) else _number(1, side)) for side in shape
    )
    tensor = _number(1, _ELEMENTS[kind]) + _bytes(2, dims)
    return _text(1, name) + _bytes(2, _bytes(1, tensor))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, text: str) -> bytes:
    return _bytes(field, text.encode())


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _varint(value: int) -> bytes:
    if value < 0:
        value += 1 << 64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
