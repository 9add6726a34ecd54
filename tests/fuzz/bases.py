"""Valid models of every format, written by hand: what the fuzzer mutates.

All are the same small classifier of 8 × 8 pixels and five classes: a convolution, a mean, a
matrix, a softmax. Small files have little but structure in them, so most mutations meet a
parser and not a weight.
"""

from __future__ import annotations

import random
import struct

from fuzz.wire import Node, Numbers, Scalar, Table, field, flatbuffer, varint

_CONV, _MATRIX = 4 * 3 * 3 * 3, 4 * 5


def _weights(count: int) -> bytes:
    source = random.Random(count)
    return struct.pack(f"<{count}f", *(source.uniform(-1, 1) for _ in range(count)))


# --- ONNX ---------------------------------------------------------------------------------------


def _value_info(name: str, shape: tuple[int, ...], kind: int = 1) -> bytes:
    dims = b"".join(field(1, field(1, size)) for size in shape)
    return field(1, name) + field(2, field(1, field(1, kind) + field(2, dims)))


def _tensor(name: str, shape: tuple[int, ...], kind: int, raw: bytes) -> bytes:
    dims = b"".join(field(1, size) for size in shape)
    return dims + field(2, kind) + field(8, name) + field(9, raw)


def _ints(name: str, *values: int) -> bytes:
    return field(5, field(1, name) + b"".join(field(8, v) for v in values) + field(20, 7))


def _int(name: str, value: int) -> bytes:
    return field(5, field(1, name) + field(3, value) + field(20, 2))


def _node(kind: str, inputs: list[str], output: str, attributes: bytes = b"") -> bytes:
    names = b"".join(field(1, name) for name in inputs)
    return field(1, names + field(2, output) + field(4, kind) + attributes)


def onnx() -> bytes:
    """The classifier, with a few operators on shapes besides."""
    nodes = [
        _node("Conv", ["x", "w"], "c", _ints("kernel_shape", 3, 3) + _ints("pads", 1, 1, 1, 1)),
        _node("Relu", ["c"], "r"),
        _node("Transpose", ["r"], "t", _ints("perm", 0, 2, 3, 1)),
        _node("Slice", ["t", "starts", "ends"], "s"),
        _node("Concat", ["s", "s"], "d", _int("axis", 1)),
        _node("Transpose", ["d"], "u", _ints("perm", 0, 3, 1, 2)),
        _node("GlobalAveragePool", ["u"], "g"),
        _node("Reshape", ["g", "shape"], "f"),
        _node("Gemm", ["f", "m"], "l"),
        _node("Softmax", ["l"], "y", _int("axis", 1)),
    ]
    tensors = [
        _tensor("w", (4, 3, 3, 3), 1, _weights(_CONV)),
        _tensor("m", (4, 5), 1, _weights(_MATRIX)),
        _tensor("shape", (2,), 7, struct.pack("<2q", 1, 4)),
        _tensor("starts", (4,), 7, struct.pack("<4q", 0, 1, 1, 0)),
        _tensor("ends", (4,), 7, struct.pack("<4q", 1, 7, 7, 4)),
    ]
    graph = b"".join(nodes) + field(2, "g") + b"".join(field(5, t) for t in tensors)
    graph += field(11, _value_info("x", (1, 3, 8, 8))) + field(12, _value_info("y", (1, 5)))
    return field(1, 8) + field(2, "hand") + field(7, graph) + field(8, field(2, 13))


def onnx_with_external_data(location: str, size: int = 8) -> bytes:
    """A model whose output `y` is the first bytes of another file; its input is one f32."""

    def entry(key: str, value: str) -> bytes:
        return field(13, field(1, key) + field(2, value))

    tensor = field(1, size) + field(2, 2) + field(8, "w") + entry("location", location)
    tensor += entry("offset", "0") + entry("length", str(size)) + field(14, 1)
    graph = _node("Identity", ["w"], "y") + _node("Identity", ["x"], "z") + field(2, "g")
    graph += field(5, tensor) + field(11, _value_info("x", (1,)))
    graph += field(12, _value_info("y", (size,), 2)) + field(12, _value_info("z", (1,)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


def onnx_that_grows(count: int) -> bytes:
    """A small file that makes the engine fill `count` f32 numbers while it compiles it."""
    nodes = [
        _node("ConstantOfShape", ["count"], "c"),
        _node("ReduceSum", ["c"], "t", _int("keepdims", 0)),
        _node("Add", ["x", "t"], "y"),
    ]
    graph = b"".join(nodes) + field(2, "g")
    graph += field(5, _tensor("count", (1,), 7, struct.pack("<q", count)))
    graph += field(11, _value_info("x", (1, 4))) + field(12, _value_info("y", (1, 4)))
    return field(1, 8) + field(7, graph) + field(8, field(2, 13))


# --- frozen TensorFlow graph --------------------------------------------------------------------


def _shape(*sizes: int) -> bytes:
    return b"".join(field(2, field(1, size)) for size in sizes)


def _attribute(name: str, value: bytes) -> bytes:
    return field(5, field(1, name) + field(2, value))


def _type(name: str, number: int = 1) -> bytes:
    return _attribute(name, field(6, number))


def _list(name: str, *values: int) -> bytes:
    packed = b"".join(varint(v) for v in values)
    return _attribute(name, field(1, field(3, packed)))


def _operation(name: str, kind: str, inputs: list[str], attributes: bytes) -> bytes:
    names = b"".join(field(3, i) for i in inputs)
    return field(1, field(1, name) + field(2, kind) + names + attributes)


def _constant(name: str, number: int, sizes: tuple[int, ...], raw: bytes) -> bytes:
    tensor = field(1, number) + field(2, _shape(*sizes)) + field(4, raw)
    value = _attribute("value", field(8, tensor))
    return _operation(name, "Const", [], _type("dtype", number) + value)


def tensorflow() -> bytes:
    """The classifier as a frozen GraphDef."""
    padding = _attribute("padding", field(2, "SAME"))
    layout = _attribute("data_format", field(2, "NHWC"))
    return b"".join(
        [
            _operation(
                "x",
                "Placeholder",
                [],
                _type("dtype") + _attribute("shape", field(7, _shape(1, 8, 8, 3))),
            ),
            _constant("w", 1, (3, 3, 3, 4), _weights(_CONV)),
            _operation(
                "c",
                "Conv2D",
                ["x", "w"],
                _type("T") + _list("strides", 1, 1, 1, 1) + padding + layout,
            ),
            _operation("r", "Relu", ["c"], _type("T")),
            _constant("axes", 3, (2,), struct.pack("<2i", 1, 2)),
            _operation("g", "Mean", ["r", "axes"], _type("T") + _type("Tidx", 3)),
            _constant("m", 1, (4, 5), _weights(_MATRIX)),
            _operation("l", "MatMul", ["g", "m"], _type("T")),
            _operation("y", "Softmax", ["l"], _type("T")),
        ]
    )


# --- TensorFlow Lite ----------------------------------------------------------------------------

_FLOAT32, _INT32, _UINT8 = 0, 2, 3


def tflite(custom: str | None = None) -> bytes:
    """The classifier, quantised to 8 bits; its last operator is a custom one of that name."""
    source = random.Random(1)
    buffers = [
        b"",
        source.randbytes(_CONV),
        bytes(16),
        struct.pack("<2i", 1, 2),
        source.randbytes(_MATRIX),
        bytes(20),
    ]

    def tensor(name: str, kind: int, buffer: int, *sizes: int) -> Table:
        fields: dict[int, Node] = {
            0: Numbers("i", sizes),
            1: Scalar("b", kind),
            2: Scalar("I", buffer),
            3: name,
        }
        if name != "axes":
            zero = 128 if kind == _UINT8 else 0
            fields[4] = Table({2: Numbers("f", [0.05]), 3: Numbers("q", [zero])})
        return Table(fields)

    tensors: list[Node] = [
        tensor("x", _UINT8, 0, 1, 8, 8, 3),
        tensor("w", _UINT8, 1, 4, 3, 3, 3),
        tensor("b", _INT32, 2, 4),
        tensor("c", _UINT8, 0, 1, 8, 8, 4),
        tensor("axes", _INT32, 3, 2),
        tensor("g", _UINT8, 0, 1, 4),
        tensor("m", _UINT8, 4, 5, 4),
        tensor("n", _INT32, 5, 5),
        tensor("l", _UINT8, 0, 1, 5),
        tensor("y", _UINT8, 0, 1, 5),
    ]

    def operator(
        code: int, inputs: list[int], output: int, kind: int, options: dict[int, Node]
    ) -> Table:
        return Table(
            {
                0: Scalar("I", code),
                1: Numbers("i", inputs),
                2: Numbers("i", [output]),
                3: Scalar("B", kind),
                4: Table(options),
            }
        )

    one = Scalar("i", 1)
    operators: list[Node] = [
        operator(0, [0, 1, 2], 3, 1, {0: Scalar("b", 0), 1: one, 2: one, 4: one, 5: one}),
        operator(1, [3, 4], 5, 27, {0: Scalar("B", 0)}),
        operator(2, [5, 6, 7], 8, 8, {0: Scalar("b", 0)}),
        operator(3, [8], 9, 9, {0: Scalar("f", 1.0)}),
    ]
    graph = Table(
        {
            0: tensors,
            1: Numbers("i", [0]),
            2: Numbers("i", [9]),
            3: operators,
            4: "main",
        }
    )
    codes: list[Node] = [
        Table({0: Scalar("b", number), 2: Scalar("i", 1), 3: Scalar("i", number)})
        for number in (3, 40, 9, 25)
    ]
    if custom is not None:
        codes[-1] = Table({0: Scalar("b", 32), 1: custom, 2: Scalar("i", 1), 3: Scalar("i", 32)})
    data: list[Node] = [Table({0: Numbers("B", list(b))}) if b else Table({}) for b in buffers]
    return flatbuffer(Table({0: Scalar("I", 3), 1: codes, 2: [graph], 3: "hand", 4: data}), b"TFL3")
