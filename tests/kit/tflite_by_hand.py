"""TensorFlow Lite files written operator by operator, with the fields that the schema numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kit.needs import needs

TYPES = {"f32": 0, "f16": 1, "i32": 2, "u8": 3, "i64": 4, "i8": 9}
_NUMPY = {
    "f32": np.float32,
    "f16": np.float16,
    "i32": np.int32,
    "u8": np.uint8,
    "i64": np.int64,
    "i8": np.int8,
}
# BuiltinOperator, and the number of its options' table in the union BuiltinOptions
CODES = {
    "ADD": (0, 11),
    "AVERAGE_POOL_2D": (1, 5),
    "CONCATENATION": (2, 10),
    "CONV_2D": (3, 1),
    "DEPTHWISE_CONV_2D": (4, 2),
    "DEQUANTIZE": (6, 0),
    "FLOOR": (8, 0),
    "FULLY_CONNECTED": (9, 8),
    "LOGISTIC": (14, 0),
    "MAX_POOL_2D": (17, 5),
    "MUL": (18, 21),
    "RELU6": (21, 0),
    "RESHAPE": (22, 17),
    "SOFTMAX": (25, 9),
    "TANH": (28, 0),
    "PAD": (34, 22),
    "TRANSPOSE": (39, 26),
    "MEAN": (40, 27),
    "SUB": (41, 28),
    "STRIDED_SLICE": (45, 32),
    "COS": (108, 0),
    "QUANTIZE": (114, 0),
    "HARD_SWISH": (117, 0),
}
CUSTOM = 32
"""BuiltinOperator of what has a name instead, as an operator's code that is none of `CODES`; its
options are whole numbers in a row."""
INT8, INT32, FLOAT = "int8", "int32", "float"
Option = tuple[int, str, float]


@dataclass
class ByHand:
    """A model in the making: tensors and operators are added, `data` is the file."""

    tensors: list[dict[str, Any]] = field(default_factory=list)
    operators: list[tuple[str, list[int], list[int], list[Option]]] = field(default_factory=list)

    def tensor(
        self,
        shape: Sequence[int],
        dtype: str,
        scale: float | Sequence[float] | None = None,
        zero: int = 0,
        data: Any = None,
        axis: int = 0,
    ) -> int:
        """Its number."""
        scales = [] if scale is None else [scale] if isinstance(scale, float) else list(scale)
        content = None if data is None else np.ascontiguousarray(data, _NUMPY[dtype]).tobytes()
        self.tensors.append(
            {"shape": list(shape), "dtype": dtype, "scales": scales, "zero": zero}
            | {"data": content, "axis": axis}
        )
        return len(self.tensors) - 1

    def add(self, code: str, inputs: list[int], output: int, *options: Option) -> int:
        """An operator; the number of its output. Options are (field, type, value)."""
        self.operators.append((code, inputs, [output], list(options)))
        return output

    def data(self, given: int, answer: int) -> bytes:
        """The file, with these tensors as input and output."""
        needs("flatbuffers", "flatbuffers")
        import flatbuffers

        b = flatbuffers.Builder(1 << 16)
        codes = sorted({code for code, *_ in self.operators})
        buffers = [self._buffer(b, b"")]
        numbers = []
        for tensor in self.tensors:
            numbers.append(0)
            if tensor["data"] is not None:
                numbers[-1] = len(buffers)
                buffers.append(self._buffer(b, tensor["data"]))
        tensors = [
            self._tensor(b, index, tensor, number)
            for index, (tensor, number) in enumerate(zip(self.tensors, numbers, strict=True))
        ]
        operators = [self._operator(b, codes, *operator) for operator in self.operators]
        graph = _table(
            b,
            [
                (0, "offset", _offsets(b, tensors)),
                (1, "offset", _numbers(b, [given], b.PrependInt32, 4)),
                (2, "offset", _numbers(b, [answer], b.PrependInt32, 4)),
                (3, "offset", _offsets(b, operators)),
            ],
        )
        made = [self._code(b, code) for code in codes]
        model = _table(
            b,
            [
                (0, INT32, 3),
                (1, "offset", _offsets(b, made)),
                (2, "offset", _offsets(b, [graph])),
                (4, "offset", _offsets(b, buffers)),
            ],
        )
        b.Finish(model, file_identifier=b"TFL3")
        return bytes(b.Output())

    def _code(self, b: Any, code: str) -> int:
        number, _ = CODES.get(code, (CUSTOM, 0))
        fields: list[tuple[int, str, Any]] = [(0, INT8, number), (2, INT32, 1), (3, INT32, number)]
        if code not in CODES:
            fields.append((1, "offset", b.CreateString(code)))
        return _table(b, fields)

    def _buffer(self, b: Any, content: bytes) -> int:
        return _table(b, [(0, "offset", b.CreateByteVector(content))] if content else [])

    def _tensor(self, b: Any, index: int, tensor: dict[str, Any], buffer: int) -> int:
        fields: list[tuple[int, str, Any]] = [
            (0, "offset", _numbers(b, tensor["shape"], b.PrependInt32, 4)),
            (1, INT8, TYPES[tensor["dtype"]]),
            (2, INT32, buffer),
            (3, "offset", b.CreateString(f"tensor {index}")),
        ]
        if tensor["scales"]:
            zeros = [tensor["zero"]] * len(tensor["scales"])
            quant = _table(
                b,
                [
                    (2, "offset", _numbers(b, tensor["scales"], b.PrependFloat32, 4)),
                    (3, "offset", _numbers(b, zeros, b.PrependInt64, 8)),
                    (6, INT32, tensor["axis"]),
                ],
            )
            fields.append((4, "offset", quant))
        return _table(b, fields)

    def _operator(
        self,
        b: Any,
        codes: list[str],
        code: str,
        inputs: list[int],
        outputs: list[int],
        options: list[Option],
    ) -> int:
        fields: list[tuple[int, str, Any]] = [
            (0, INT32, codes.index(code)),
            (1, "offset", _numbers(b, inputs, b.PrependInt32, 4)),
            (2, "offset", _numbers(b, outputs, b.PrependInt32, 4)),
        ]
        if code not in CODES:
            content = np.array([value for *_, value in options], np.int32).tobytes()
            fields.append((5, "offset", b.CreateByteVector(content)))
        elif CODES[code][1]:
            fields += [(3, INT8, CODES[code][1]), (4, "offset", _table(b, options))]
        return _table(b, fields)


def _table(b: Any, fields: Sequence[tuple[int, str, Any]]) -> int:
    b.StartObject(8)
    for number, kind, value in fields:
        if kind == "offset":
            b.PrependUOffsetTRelativeSlot(number, value, 0)
        elif kind == INT8:
            b.PrependInt8Slot(number, value, 0)
        elif kind == INT32:
            b.PrependInt32Slot(number, value, 0)
        else:
            b.PrependFloat32Slot(number, value, 0.0)
    return int(b.EndObject())


def _numbers(b: Any, values: Sequence[float], put: Callable[[Any], None], size: int) -> int:
    b.StartVector(size, len(values), size)
    for value in reversed(values):
        put(value)
    return int(b.EndVector())


def _offsets(b: Any, offsets: Sequence[int]) -> int:
    b.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        b.PrependUOffsetTRelative(offset)
    return int(b.EndVector())


def colours() -> bytes:
    """A classifier of the mean colour, 8 × 8 pixels: red, green, blue."""
    b = ByHand()
    given = b.tensor([1, 8, 8, 3], "u8", 1 / 128, 128)
    pooled = b.tensor([1, 1, 1, 3], "u8", 1 / 128, 128)
    options = [(0, INT8, 1), (1, INT32, 1), (2, INT32, 1), (3, INT32, 8), (4, INT32, 8)]
    b.add("AVERAGE_POOL_2D", [given], pooled, *options, (5, INT8, 0))
    shape = b.tensor([2], "i32", data=[1, 3])
    flat = b.add("RESHAPE", [pooled, shape], b.tensor([1, 3], "u8", 1 / 128, 128))
    data = np.full((3, 3), 128) + 100 * np.eye(3)
    weights = b.tensor([3, 3], "u8", 1 / 64, 128, data)
    bias = b.tensor([3], "i32", data=[0, 0, 0])
    scores = b.tensor([1, 3], "u8", 1 / 32, 128)
    b.add("FULLY_CONNECTED", [flat, weights, bias], scores, (0, INT8, 0))
    answer = b.tensor([1, 3], "u8", 1 / 256, 0)
    b.add("SOFTMAX", [scores], answer, (0, FLOAT, 1.0))
    return b.data(given, answer)
