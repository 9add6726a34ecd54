"""How many numbers a model has learned, counted from its file.

No engine tells it: OpenVINO rewrites the graph before it can be asked. So the constants that
the file stores are added up, without those that hold shapes, indices and paddings:

- OpenVINO IR: `Const` layers of a float type or of up to 8 bits;
- ONNX: initialisers and `Constant` nodes, but no int64, bool or text ones;
- TensorFlow Lite: tensors that have a buffer; of the 32- and 64-bit integers only those with
  a quantisation scale, which are biases;
- frozen TensorFlow: `Const` nodes of a float type or of up to 8 bits.

Scales and zero points of quantisation are counted where the format stores them as constants.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from xml.etree import ElementTree

from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.varint import varint

_IR_INTEGERS = {"i64", "i32", "i16", "u64", "u32", "u16", "boolean", "string"}
# TensorProto.DataType: STRING, INT64, BOOL
_ONNX_OTHERS = {7, 8, 9}
# TensorFlow's DataType: FLOAT, DOUBLE, UINT8, INT8, QINT8, QUINT8, BFLOAT16, HALF
_TENSORFLOW_NUMBERS = {1, 2, 4, 6, 11, 12, 14, 19}
# TensorFlow Lite's TensorType: INT32, STRING, BOOL
_TFLITE_INT32, _TFLITE_INT64 = 2, 4
_TFLITE_OTHERS = {5, 6}


def count(source: ModelSource) -> int | None:
    """The number of stored parameters, None where the file cannot be read so far."""
    reader = _READERS.get(source.encoding)
    if reader is None:
        return None
    try:
        return reader(source.parts[0])
    # whatever is wrong with the bytes shows as one of these
    except (IndexError, KeyError, ValueError, struct.error, ElementTree.ParseError):
        return None


def _of_ir(xml: bytes) -> int:
    total = 0
    for layer in ElementTree.fromstring(xml).iter("layer"):
        data = layer.find("data")
        if layer.get("type") != "Const" or data is None:
            continue
        if data.get("element_type") not in _IR_INTEGERS:
            total += math.prod(int(n) for n in data.get("shape", "").split(",") if n.strip())
    return total


def _of_onnx(model: bytes) -> int:
    total = 0
    for graph in _messages(model, 7):
        tensors = [*_messages(graph, 5)]
        for node in _messages(graph, 1):
            if _text(node, 4) == b"Constant":
                tensors += [t for attribute in _messages(node, 5) for t in _messages(attribute, 5)]
        for tensor in tensors:
            if _number(tensor, 2) not in _ONNX_OTHERS:
                total += math.prod(_numbers(tensor, 1))
    return total


def _of_tensorflow(graph: bytes) -> int:
    total = 0
    for node in _messages(graph, 1):
        if _text(node, 2) != b"Const":
            continue
        for attribute in _messages(node, 5):
            if _text(attribute, 1) != b"value":
                continue
            for value in _messages(attribute, 2):
                for tensor in _messages(value, 8):
                    if _number(tensor, 1) in _TENSORFLOW_NUMBERS:
                        shape = [d for s in _messages(tensor, 2) for d in _messages(s, 2)]
                        total += math.prod(_number(dimension, 1) for dimension in shape)
    return total


def _of_tflite(model: bytes) -> int:
    root = _Table(model, _u32(model, 0))
    filled = [buffer.vector(0)[1] > 0 for buffer in root.tables(4)]
    seen: set[int] = set()
    total = 0
    for graph in root.tables(2):
        for tensor in graph.tables(0):
            buffer, kind = tensor.u32(2), tensor.u8(1)
            if buffer in seen or not filled[buffer] or kind in _TFLITE_OTHERS:
                continue
            quantisation = tensor.table(4)
            scaled = quantisation is not None and quantisation.vector(2)[1] > 0
            if kind in (_TFLITE_INT32, _TFLITE_INT64) and not scaled:
                continue
            seen.add(buffer)
            start, length = tensor.vector(0)
            total += math.prod(struct.unpack_from(f"<{length}i", model, start))
    return total


_READERS: Mapping[Encoding, Callable[[bytes], int]] = {
    Encoding.OPENVINO: _of_ir,
    Encoding.ONNX: _of_onnx,
    Encoding.TENSORFLOW: _of_tensorflow,
    Encoding.TENSORFLOW_LITE: _of_tflite,
}


class _Table:
    """A table of a flatbuffer: a position whose vtable tells where each field is."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._vtable = position - struct.unpack_from("<i", data, position)[0]

    def u8(self, field: int) -> int:
        at = self._at(field)
        return self._data[at] if at is not None else 0

    def u32(self, field: int) -> int:
        at = self._at(field)
        return _u32(self._data, at) if at is not None else 0

    def vector(self, field: int) -> tuple[int, int]:
        """Position of the first element, and how many there are."""
        at = self._at(field)
        if at is None:
            return 0, 0
        start = at + _u32(self._data, at)
        return start + 4, _u32(self._data, start)

    def table(self, field: int) -> _Table | None:
        at = self._at(field)
        return _Table(self._data, at + _u32(self._data, at)) if at is not None else None

    def tables(self, field: int) -> list[_Table]:
        start, length = self.vector(field)
        places = range(start, start + 4 * length, 4)
        return [_Table(self._data, at + _u32(self._data, at)) for at in places]

    def _at(self, field: int) -> int | None:
        size = struct.unpack_from("<H", self._data, self._vtable)[0]
        entry = 4 + 2 * field
        if entry >= size:
            return None
        offset = struct.unpack_from("<H", self._data, self._vtable + entry)[0]
        return self._position + offset if offset else None


def _u32(data: bytes, position: int) -> int:
    value = struct.unpack_from("<I", data, position)[0]
    assert isinstance(value, int)
    return value


def _fields(message: memoryview | bytes) -> Iterator[tuple[int, int | memoryview]]:
    """The fields of a protobuf message: numbers, or bytes. Raises ValueError."""
    view = memoryview(message)
    position = 0
    while position < len(view):
        key, position = varint(view, position, 64)
        number, wire = key >> 3, key & 7
        if wire == 0:
            value, position = varint(view, position, 64)
            yield number, value
        elif wire == 2:
            length, position = varint(view, position, 64)
            if position + length > len(view):
                raise ValueError("a field reaches beyond its message")
            yield number, view[position : position + length]
            position += length
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
        else:
            raise ValueError(f"wire type {wire}")


def _messages(message: memoryview | bytes, field: int) -> Iterator[memoryview]:
    return (v for n, v in _fields(message) if n == field and isinstance(v, memoryview))


def _text(message: memoryview | bytes, field: int) -> bytes:
    return b"".join(bytes(v) for v in _messages(message, field))


def _numbers(message: memoryview | bytes, field: int) -> list[int]:
    """A repeated number, packed or not."""
    found: list[int] = []
    for number, value in _fields(message):
        if number != field:
            continue
        if isinstance(value, int):
            found.append(value)
            continue
        position = 0
        while position < len(value):
            element, position = varint(value, position, 64)
            found.append(element)
    return found


def _number(message: memoryview | bytes, field: int) -> int:
    found = _numbers(message, field)
    return found[-1] if found else 0
