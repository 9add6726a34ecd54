"""TensorFlow Lite files as a graph."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wasmlrun.support.errors import BadModel
from wasmlrun.tiny.flatbuffer import Table
from wasmlrun.tiny.graph import NUMPY, Array, Graph, Node, Quant, Value, axis_of

IDENTIFIER = b"TFL3"

# TensorType of the schema
_TYPES = {0: "f32", 1: "f16", 2: "i32", 3: "u8", 4: "i64", 6: "bool", 9: "i8"}
_RESOURCE = 13
_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6", 4: "tanh", 5: "sign_bit"}
# BuiltinOperator of the schema in its order: those that are read, and the rest for messages
_NAMES = (Path(__file__).parent / "tflite_operators.txt").read_text("ascii").split()
_CUSTOM, _WIDE = 32, 127


def read(data: bytes, shown: str) -> Graph:
    """The graph of a TensorFlow Lite file; what it computes is not checked here.

    Raises:
        BadModel: the file is damaged.
    """
    try:
        return _Reader(Table.root(data)).graph
    except (ValueError, IndexError, KeyError) as e:
        raise BadModel(
            f"model {shown} cannot be read as TensorFlow Lite: {e}",
            "check the file: is it complete?",
        ) from e


class _Reader:
    def __init__(self, model: Table) -> None:
        self._buffers = model.tables(4)
        self._codes = [_operator_name(code) for code in model.tables(1)]
        self._subgraphs = model.tables(2)
        if not self._subgraphs:
            raise ValueError("there is no graph in it")
        self._start: dict[str, Array] = {}  # variable -> what it begins as
        self.graph = Graph()
        self._read(self._subgraphs[0])

    def _read(self, subgraph: Table) -> None:
        graph = self.graph
        self._names: list[str] = []
        self._resources: dict[str, str] = {}  # tensor of a handle -> the variable's name
        for index, tensor in enumerate(subgraph.tables(0)):
            self._names.append(graph.add(self._value(tensor, index)))
        graph.inputs = [self._names[i] for i in subgraph.numbers(1, "i")]
        graph.outputs = [self._names[i] for i in subgraph.numbers(2, "i")]
        for number, operator in enumerate(subgraph.tables(3)):
            self._operator(number, operator)

    def _value(self, tensor: Table, index: int) -> Value:
        number = tensor.int8(1)
        dtype = "resource" if number == _RESOURCE else _TYPES.get(number, f"type {number}")
        shape = tuple(int(n) for n in tensor.numbers(0, "i"))
        data: Array | None = None
        buffer = tensor.uint32(2)
        content = self._buffers[buffer].data(0) if buffer else b""
        if content and dtype in NUMPY:
            data = np.frombuffer(content, NUMPY[dtype]).reshape(shape)
        return Value(tensor.text(3) or f"tensor {index}", shape, dtype, _quant(tensor), data)

    def _operator(self, number: int, operator: Table) -> None:
        code = self._codes[operator.uint32(0)]
        inputs = [self._names[i] if i >= 0 else "" for i in operator.numbers(1, "i")]
        outputs = [self._names[i] for i in operator.numbers(2, "i")]
        options = operator.table(4)
        node = Node(code, outputs[0] if outputs else f"operator {number}", inputs, outputs)
        convert = _CONVERTERS.get(code)
        if code == "VAR_HANDLE":
            assert options is not None
            self._resources[outputs[0]] = options.text(1)
        elif code == "CALL_ONCE":
            assert options is not None
            self._initialise(self._subgraphs[options.int32(0)])
        elif code in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            self._variable(node)
        elif convert is not None:
            convert(self.graph, node, options or _NO_OPTIONS)
        else:
            self.graph.nodes.append(node)

    def _initialise(self, subgraph: Table) -> None:
        """A graph that runs once: the values that variables begin with."""
        tensors = subgraph.tables(0)
        handles: dict[int, str] = {}
        for operator in subgraph.tables(3):
            code = self._codes[operator.uint32(0)]
            inputs, outputs = operator.numbers(1, "i"), operator.numbers(2, "i")
            options = operator.table(4)
            if code == "VAR_HANDLE" and options is not None:
                handles[outputs[0]] = options.text(1)
                continue
            value = self._value(tensors[inputs[1]], 0) if code == "ASSIGN_VARIABLE" else None
            if value is None or value.data is None:
                self.graph.nodes.append(Node(code, "in the graph that runs once", [], []))
                continue
            self._start[handles[inputs[0]]] = value.data

    def _variable(self, node: Node) -> None:
        graph = self.graph
        name = self._resources[node.inputs[0]]
        told = node.outputs[0] if node.op == "READ_VARIABLE" else node.inputs[1]
        value = graph.value(told)
        if name not in graph.variables:
            data = self._start.get(name)
            if data is None:
                data = np.zeros(value.shape, NUMPY[value.dtype])
            graph.variables[name] = Value(name, value.shape, value.dtype, value.quant, data)
        reads = node.op == "READ_VARIABLE"
        node.op = "read_variable" if reads else "assign_variable"
        node.inputs = [] if reads else [told]
        node.outputs = [told] if reads else []
        node.attributes["variable"] = name
        graph.nodes.append(node)


def _operator_name(code: Table) -> str:
    number = max(code.int8(0), code.int32(3))
    if number == _CUSTOM:
        return f"custom {code.text(1)}"
    return _NAMES[number] if number < len(_NAMES) and number != _WIDE else f"operator {number}"


def _quant(tensor: Table) -> Quant | None:
    table = tensor.table(4)
    if table is None:
        return None
    scale, zero = table.numbers(2, "f"), table.numbers(3, "q")
    if not scale:
        return None
    zeros = tuple(int(n) for n in zero) or (0,) * len(scale)
    return Quant(tuple(float(s) for s in scale), zeros, table.int32(6))


class _NoOptions(Table):
    def __init__(self) -> None:
        self._fields = 0
        self._data = b""
        self._position = self._vtable = 0


_NO_OPTIONS = _NoOptions()


def _convolution(graph: Graph, node: Node, options: Table) -> None:
    depthwise = node.op == "DEPTHWISE_CONV_2D"
    node.op = "depthwise" if depthwise else "conv"
    source, weights = graph.value(node.inputs[0]), graph.value(node.inputs[1])
    stride = (options.int32(2), options.int32(1))
    first = 5 if depthwise else 4
    dilation = (options.int32(first + 1, 1), options.int32(first, 1))
    kernel = weights.shape[1:3]
    out = graph.value(node.outputs[0]).shape
    node.attributes = {
        "kernel": kernel,
        "stride": stride,
        "dilation": dilation,
        "pads": _pads(options.int8(0), source.shape, out, kernel, stride, dilation),
        "activation": _activation(options.int8(4 if depthwise else 3)),
    }
    graph.nodes.append(node)


def _pool(graph: Graph, node: Node, options: Table) -> None:
    node.op = "max_pool" if node.op == "MAX_POOL_2D" else "average_pool"
    stride = (options.int32(2), options.int32(1))
    kernel = (options.int32(4), options.int32(3))
    source, out = graph.value(node.inputs[0]).shape, graph.value(node.outputs[0]).shape
    node.attributes = {
        "kernel": kernel,
        "stride": stride,
        "pads": _pads(options.int8(0), source, out, kernel, stride, (1, 1)),
        "activation": _activation(options.int8(5)),
        "counts_padding": False,
    }
    graph.nodes.append(node)


def _pads(
    valid: int,
    source: tuple[int, ...],
    out: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[int, int, int, int]:
    """Top, left, bottom, right."""
    if len(source) != 4 or len(out) != 4:
        raise ValueError("a convolution or pool has no four dimensions")
    if valid:
        return (0, 0, 0, 0)
    pads = []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        total = max((out[1 + axis] - 1) * stride[axis] + reach - source[1 + axis], 0)
        pads.append((total // 2, total - total // 2))
    return (pads[0][0], pads[1][0], pads[0][1], pads[1][1])


def _activation(number: int) -> str:
    return _ACTIVATIONS[number]


def _dense(graph: Graph, node: Node, options: Table) -> None:
    if options.int8(1):
        node.op = "FULLY_CONNECTED with shuffled weights"
    else:
        node.op = "dense"
        node.attributes = {"activation": _activation(options.int8(0))}
    graph.nodes.append(node)


def _elementwise(graph: Graph, node: Node, options: Table) -> None:
    node.op = {"MAXIMUM": "maximum", "MINIMUM": "minimum"}.get(node.op, node.op.lower())
    activation = "none" if node.op in ("maximum", "minimum") else _activation(options.int8(0))
    node.attributes = {"activation": activation}
    graph.nodes.append(node)


def _unary(graph: Graph, node: Node, options: Table) -> None:
    kinds = {"LOGISTIC": "sigmoid", "LEAKY_RELU": "leaky_relu"}
    node.attributes = {"kind": kinds.get(node.op, node.op.lower())}
    if node.op == "LEAKY_RELU":
        node.attributes["alpha"] = options.float32(0)
    node.op = "unary"
    graph.nodes.append(node)


def _reshape(graph: Graph, node: Node, options: Table) -> None:
    node.op, node.inputs = "reshape", node.inputs[:1]
    graph.nodes.append(node)


def _softmax(graph: Graph, node: Node, options: Table) -> None:
    node.op = "softmax"
    node.attributes = {"beta": options.float32(0), "axis": -1}
    graph.nodes.append(node)


def _concat(graph: Graph, node: Node, options: Table) -> None:
    node.op = "concat"
    rank = len(graph.value(node.outputs[0]).shape)
    node.attributes = {
        "axis": axis_of(options.int32(0), rank),
        "activation": _activation(options.int8(1)),
    }
    graph.nodes.append(node)


def _mean(graph: Graph, node: Node, options: Table) -> None:
    rank = len(graph.value(node.inputs[0]).shape)
    axes = graph.data(node.inputs[1]).reshape(-1)
    node.op, node.inputs = "mean", node.inputs[:1]
    node.attributes = {"axes": sorted({axis_of(int(a), rank) for a in axes})}
    graph.nodes.append(node)


def _pad(graph: Graph, node: Node, options: Table) -> None:
    pads = graph.data(node.inputs[1]).tolist()
    value = None
    if len(node.inputs) > 2:
        value = float(graph.data(node.inputs[2]).reshape(-1)[0])
    node.op, node.inputs = "pad", node.inputs[:1]
    node.attributes = {"pads": [(int(a), int(b)) for a, b in pads], "value": value}
    graph.nodes.append(node)


def _transpose(graph: Graph, node: Node, options: Table) -> None:
    order = graph.data(node.inputs[1]).reshape(-1)
    node.op, node.inputs = "transpose", node.inputs[:1]
    node.attributes = {"order": [int(n) for n in order]}
    graph.nodes.append(node)


def _strided_slice(graph: Graph, node: Node, options: Table) -> None:
    shape = graph.value(node.inputs[0]).shape
    begin, end, step = (graph.data(name).reshape(-1).tolist() for name in node.inputs[1:4])
    begins, ends, ellipsis, new_axis, shrink = (options.int32(n) for n in range(5))
    if ellipsis or new_axis:
        node.op = "STRIDED_SLICE with an ellipsis or a new axis"
        graph.nodes.append(node)
        return
    first, steps = [], []
    for axis, size in enumerate(shape):
        if axis >= len(begin):
            first.append(0)
            steps.append(1)
            continue
        start = None if begins >> axis & 1 else int(begin[axis])
        stop = None if ends >> axis & 1 else int(end[axis])
        if shrink >> axis & 1:
            stop = None
        taken = range(*slice(start, stop, int(step[axis])).indices(size))
        first.append(taken.start)
        steps.append(taken.step)
    sizes = _slice_sizes(shape, first, steps, graph.value(node.outputs[0]).shape, shrink)
    node.op, node.inputs = "slice", node.inputs[:1]
    node.attributes = {"begin": first, "step": steps, "sizes": sizes}
    graph.nodes.append(node)


def _slice_sizes(
    shape: tuple[int, ...],
    first: list[int],
    steps: list[int],
    out: tuple[int, ...],
    shrink: int,
) -> list[int]:
    """How many are taken along each axis of the source; the output lacks those that shrink."""
    kept = iter(out)
    return [1 if shrink >> axis & 1 else next(kept, 0) for axis in range(len(shape))]


def _slice(graph: Graph, node: Node, options: Table) -> None:
    begin = graph.data(node.inputs[1]).reshape(-1)
    out = graph.value(node.outputs[0]).shape
    node.op, node.inputs = "slice", node.inputs[:1]
    node.attributes = {
        "begin": [int(n) for n in begin],
        "step": [1] * len(out),
        "sizes": list(out),
    }
    graph.nodes.append(node)


def _split(graph: Graph, node: Node, options: Table) -> None:
    """Each part is a slice."""
    by_sizes = node.op == "SPLIT_V"
    source = node.inputs[0] if by_sizes else node.inputs[1]
    axis_name = node.inputs[2] if by_sizes else node.inputs[0]
    shape = graph.value(source).shape
    axis = axis_of(int(graph.data(axis_name).reshape(-1)[0]), len(shape))
    at = 0
    for output in node.outputs:
        sizes = graph.value(output).shape
        begin = [at if n == axis else 0 for n in range(len(shape))]
        attributes = {"begin": begin, "step": [1] * len(shape), "sizes": list(sizes)}
        graph.nodes.append(Node("slice", output, [source], [output], attributes))
        at += sizes[axis]


def _same(op: str) -> Callable[[Graph, Node, Table], None]:
    def convert(graph: Graph, node: Node, options: Table) -> None:
        node.op = op
        graph.nodes.append(node)

    return convert


def _dequantize(graph: Graph, node: Node, options: Table) -> None:
    source = graph.value(node.inputs[0])
    if source.dtype == "f16" and source.data is not None:
        # weights that are stored as halves
        out = graph.value(node.outputs[0])
        out.data = source.data.astype(np.float32)
        return
    node.op = "dequantize"
    graph.nodes.append(node)


_CONVERTERS: dict[str, Callable[[Graph, Node, Any], None]] = {
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _convolution,
    "FULLY_CONNECTED": _dense,
    "AVERAGE_POOL_2D": _pool,
    "MAX_POOL_2D": _pool,
    **dict.fromkeys(("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM"), _elementwise),
    **dict.fromkeys(
        (
            *("RELU", "RELU6", "RELU_N1_TO_1", "LOGISTIC", "TANH", "HARD_SWISH", "ELU"),
            *("LEAKY_RELU", "EXP", "SQRT", "RSQRT", "ABS", "NEG", "SQUARE"),
        ),
        _unary,
    ),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS"), _reshape),
    "SOFTMAX": _softmax,
    "CONCATENATION": _concat,
    "MEAN": _mean,
    "PAD": _pad,
    "PADV2": _pad,
    "TRANSPOSE": _transpose,
    "STRIDED_SLICE": _strided_slice,
    "SLICE": _slice,
    "SPLIT": _split,
    "SPLIT_V": _split,
    "QUANTIZE": _same("quantize"),
    "DEQUANTIZE": _dequantize,
    "CAST": _same("cast"),
}
