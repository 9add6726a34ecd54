"""ONNX files as a graph.

ONNX lays pictures as [batch, channels, height, width]; here channels come last. A tensor that a
convolution or pool made is stored that way ("turned"), and what works on it follows; where a
node needs ONNX's own order, or a turned tensor is flattened, a transposition is put in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from wasmlrun.support.errors import BadModel
from wasmlrun.tiny import bytes_again, onnx_qlinear
from wasmlrun.tiny.graph import Array, Graph, Node, Quant, Shape, Value, axis_of
from wasmlrun.toolkit.toolchains.installer import ToolMissing

if TYPE_CHECKING:
    import onnx

_TO_LAST, _TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
# where ONNX's axes are in a turned tensor
_TURNED = {0: 0, 1: 3, 2: 1, 3: 2}
_TYPES = {1: "f32", 2: "u8", 3: "i8", 6: "i32", 7: "i64", 9: "bool", 10: "f16"}
_KINDS = {"float32": "f32", "uint8": "u8", "int8": "i8", "int32": "i32", "int64": "i64"}
_MOST_FOLDED = 1 << 28
_UNKNOWN: Shape = (0,)


def read(data: bytes, shown: str) -> Graph:
    """The graph of an ONNX file; what it computes is not checked here.

    Raises:
        BadModel: the file is damaged. ToolMissing: the package that reads it is not there.
    """
    if find_spec("onnx") is None:
        raise ToolMissing("onnx is needed to read ONNX models", "pip install onnx")
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(data)
        _fix_batch(model.graph)
        onnx_qlinear.expand(model.graph)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        graph = _Reader(model).graph
        bytes_again.find(graph)
        return graph
    except (
        DecodeError,
        onnx.shape_inference.InferenceError,
        onnx.checker.ValidationError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
    ) as e:
        first = (str(e).strip().splitlines() or [type(e).__name__])[0][:200]
        raise BadModel(
            f"model {shown} cannot be read as ONNX: {first}", "check the file: is it complete?"
        ) from e


def _fix_batch(graph: onnx.GraphProto) -> None:
    """A batch whose size is free becomes one."""
    for value in [*graph.input, *graph.output]:
        dims = value.type.tensor_type.shape.dim
        if dims and dims[0].dim_value < 1:
            dims[0].dim_value = 1


class _Reader:
    def __init__(self, model: onnx.ModelProto) -> None:
        import onnx

        proto = model.graph
        self.graph = Graph()
        self.opset = max((o.version for o in model.opset_import if not o.domain), default=1)
        self.consts: dict[str, Array] = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in proto.initializer
        }
        self._known: dict[str, tuple[Shape, str]] = {}
        for value in [*proto.input, *proto.value_info, *proto.output]:
            kind = value.type.tensor_type
            # one that is not known is told as one that is not fixed
            known = kind.HasField("shape")
            shape = tuple(int(d.dim_value) for d in kind.shape.dim) if known else _UNKNOWN
            self._known[value.name] = (shape, _TYPES.get(kind.elem_type, f"type {kind.elem_type}"))
        self.turned: set[str] = set()
        self.stored: dict[str, tuple[Array, Quant]] = {}
        """Constants of floats that are bytes in the file, and those bytes."""
        self._copies: dict[tuple[str, bool], str] = {}
        for value in proto.input:
            if value.name not in self.consts:
                self.made(value.name)
                self.graph.inputs.append(value.name)
        for node in proto.node:
            self._node(node)
        self.graph.outputs = [self.plain(value.name) for value in proto.output]

    # tensors

    def shape(self, name: str) -> Shape:
        """Its dimensions, in ONNX's order."""
        if name in self.consts:
            return tuple(self.consts[name].shape)
        return self._known.get(name, (_UNKNOWN, "f32"))[0]

    def dtype(self, name: str) -> str:
        """The type of its numbers."""
        return self._known.get(name, (_UNKNOWN, "f32"))[1]

    def made(self, name: str, *, turned: bool = False) -> str:
        """Take in a tensor that is computed."""
        shape, dtype = self._known.get(name, (_UNKNOWN, "f32"))
        if turned:
            shape = shape if len(shape) == 4 else (0, 0, 0, 0)
            self.turned.add(name)
            shape = tuple(shape[axis] for axis in _TO_LAST)
        self.graph.values[name] = Value(name, shape, dtype)
        return name

    def constant(self, name: str, data: Array, order: Sequence[int] | None = None) -> str:
        """Take in a constant: what the file has under that name, and its axes' order there."""
        dtype = _KINDS.get(data.dtype.name, data.dtype.name)
        value = Value(name, tuple(data.shape), dtype, None, data)
        if name in self.stored:
            value.stored = self._stored(name, data, order)
        return self.graph.add(value)

    def _stored(self, name: str, data: Array, order: Sequence[int] | None) -> Value | None:
        """The bytes of a constant, in the order that its floats got."""
        stored, quant = self.stored[name]
        if order is not None:
            stored = stored.reshape((1,) * (len(order) - stored.ndim) + stored.shape)
            stored = np.ascontiguousarray(stored.transpose(order))
            if quant.per_channel:
                quant = Quant(quant.scale, quant.zero, list(order).index(quant.axis))
        if stored.shape != data.shape:
            return None
        kind = _KINDS[stored.dtype.name]
        return Value(f"{name} bytes", tuple(stored.shape), kind, quant, stored)

    def last(self, name: str) -> str:
        """A tensor of four dimensions with its channels last."""
        if name in self.turned:
            return name
        return self._transposed(name, _TO_LAST)

    def plain(self, name: str) -> str:
        """A tensor in ONNX's order."""
        if name in self.consts:
            return self.constant(name, self.consts[name])
        if name not in self.turned:
            return name
        return self._transposed(name, _TO_FIRST)

    def _transposed(self, name: str, order: Sequence[int]) -> str:
        key = (name, order == _TO_LAST)
        if key not in self._copies:
            source = self.graph.value(name)
            shape = tuple(source.shape[axis] for axis in order)
            made = self.graph.add(Value(f"{name} turned", shape, source.dtype))
            kept = [n for n in source.shape if n != 1] == [n for n in shape if n != 1]
            op = "reshape" if kept else "transpose"
            attributes = {} if kept else {"order": list(order)}
            self.graph.nodes.append(Node(op, made, [name], [made], attributes))
            self._copies[key] = made
        return self._copies[key]

    def add(self, op: str, node: Any, inputs: list[str], **attributes: Any) -> None:
        """A node with the file's name and first output."""
        name = node.name or node.output[0]
        self.graph.nodes.append(Node(op, name, inputs, [node.output[0]], attributes))

    def numbers(self, node: Any, index: int) -> list[int] | None:
        """A constant input as whole numbers; None where it is left out."""
        if index >= len(node.input) or not node.input[index]:
            return None
        return [int(n) for n in self.consts[node.input[index]].reshape(-1)]

    # nodes

    def _node(self, node: Any) -> None:
        if self._dequantised(node) or self._folded(node):
            return
        convert = _CONVERTERS.get(node.op_type) if not node.domain else None
        if convert is not None:
            try:
                convert(self, node, _attributes(node))
                return
            except _NotHere as e:
                why = f"{node.op_type} {e}"
        else:
            why = node.op_type
        made = [self.made(output) for output in node.output if output]
        computed = [self.plain(n) for n in node.input if n and n in self.graph.values]
        self.graph.nodes.append(Node(why, node.name or node.output[0], computed, made))

    def _dequantised(self, node: Any) -> bool:
        """Floats of bytes that are constant; the bytes are kept for operators of bytes."""
        if node.op_type != "DequantizeLinear" or node.domain or node.input[0] not in self.consts:
            return False
        data = self.consts[node.input[0]]
        if data.dtype.name not in ("int8", "uint8", "int32") or _attributes(node).get("block_size"):
            return False
        axis = axis_of(_attributes(node).get("axis", 1), max(data.ndim, 1))
        quant = self.quant(node, axis)
        steps = [1] * data.ndim
        if quant.per_channel:
            steps[axis] = -1
        scale, zero = (np.array(n).reshape(steps) for n in (quant.scale, quant.zero))
        self.consts[node.output[0]] = ((data.astype(np.int64) - zero) * scale).astype(np.float32)
        if data.dtype.name != "int32":
            self.stored[node.output[0]] = (data, quant)
        return True

    def quant(self, node: Any, axis: int = 0) -> Quant:
        """Scale and zero point of a node that quantises or goes back."""
        names = [name for name in node.input[1:3] if name]
        if any(name not in self.consts for name in names):
            raise ValueError(f"{node.op_type} ({node.output[0]}) has a scale that is computed")
        scale = tuple(map(float, self.consts[names[0]].reshape(-1)))
        zero = (0,) * len(scale)
        if len(names) > 1:
            zero = tuple(map(int, self.consts[names[1]].reshape(-1)))
        return Quant(scale, zero, axis)

    def _folded(self, node: Any) -> bool:
        """Compute what depends on constants only."""
        if node.op_type == "Shape" and node.input[0] in self._known:
            self.consts[node.output[0]] = np.array(self.shape(node.input[0]), np.int64)
            return True
        given = [name for name in node.input if name]
        if node.domain or any(name not in self.consts for name in given):
            return False
        if sum(self.consts[name].nbytes for name in given) > _MOST_FOLDED:
            return False
        from onnx.reference import ReferenceEvaluator

        try:
            evaluator = ReferenceEvaluator(node, opsets={"": self.opset})
            results = evaluator.run(None, {name: self.consts[name] for name in given})
        except (NotImplementedError, RuntimeError, TypeError, ValueError):
            return False
        for name, result in zip(node.output, results, strict=False):
            self.consts[name] = np.asarray(result)
        return True


class _NotHere(ValueError):
    """A form of an operation that is not packed; the text follows its name."""


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pads(
    reader: _Reader, node: Any, a: dict[str, Any], kernel: Sequence[int], stride: Sequence[int]
) -> tuple[int, int, int, int]:
    auto = _text(a.get("auto_pad", "NOTSET"))
    if auto in ("NOTSET", ""):
        pads = a.get("pads", [0, 0, 0, 0])
        return (pads[0], pads[1], pads[2], pads[3])
    if auto == "VALID":
        return (0, 0, 0, 0)
    source, out = reader.shape(node.input[0]), reader.shape(node.output[0])
    dilation = a.get("dilations", [1, 1])
    found = []
    for axis in (0, 1):
        reach = (kernel[axis] - 1) * dilation[axis] + 1
        total = max((out[2 + axis] - 1) * stride[axis] + reach - source[2 + axis], 0)
        before = total // 2 if auto == "SAME_UPPER" else total - total // 2
        found.append((before, total - before))
    return (found[0][0], found[1][0], found[0][1], found[1][1])


def _conv(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source, weights = node.input[0], reader.consts.get(node.input[1])
    if len(reader.shape(source)) != 4:
        raise _NotHere("of other than two dimensions")
    if weights is None:
        raise _NotHere("with weights that are computed")
    group, channels = a.get("group", 1), reader.shape(source)[1]
    kernel, stride = weights.shape[2:], a.get("strides", [1, 1])
    inputs = [reader.last(source)]
    if group == channels and weights.shape[1] == 1 and group > 1:
        if weights.shape[0] != channels:
            raise _NotHere("with several outputs of each channel")
        op = "depthwise"
    elif group == 1:
        op = "conv"
    else:
        raise _NotHere(f"of {group} groups")
    order = (1, 2, 3, 0) if op == "depthwise" else (0, 2, 3, 1)
    data = np.ascontiguousarray(weights.transpose(order), np.float32)
    inputs.append(reader.constant(node.input[1], data, order))
    if len(node.input) > 2 and node.input[2]:
        bias = reader.consts.get(node.input[2])
        if bias is None:
            raise _NotHere("with a bias that is computed")
        inputs.append(reader.constant(node.input[2], bias.astype(np.float32)))
    reader.made(node.output[0], turned=True)
    dilation = a.get("dilations", [1, 1])
    reader.add(
        op,
        node,
        inputs,
        kernel=tuple(kernel),
        stride=tuple(stride),
        dilation=tuple(dilation),
        pads=_pads(reader, node, a, kernel, stride),
        activation="none",
    )


def _pool(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    if len(reader.shape(node.input[0])) != 4:
        raise _NotHere("of other than two dimensions")
    if list(a.get("dilations", [1, 1])) != [1, 1] or len(node.output) > 1:
        raise _NotHere("with dilations or indices")
    kernel, stride = a["kernel_shape"], a.get("strides", [1, 1])
    inputs = [reader.last(node.input[0])]
    reader.made(node.output[0], turned=True)
    counts = bool(a.get("count_include_pad", 0))
    if counts and a.get("ceil_mode", 0):
        raise _NotHere("that counts padding and rounds sizes up")
    reader.add(
        "max_pool" if node.op_type == "MaxPool" else "average_pool",
        node,
        inputs,
        kernel=tuple(kernel),
        stride=tuple(stride),
        pads=_pads(reader, node, a, kernel, stride),
        activation="none",
        counts_padding=counts,
    )


def _norm(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    if len(reader.shape(source)) != 4:
        raise _NotHere("of other than four dimensions")
    gamma, beta, mean, variance = (
        reader.consts[name].astype(np.float64) for name in node.input[1:5]
    )
    scale = gamma / np.sqrt(variance + a.get("epsilon", 1e-5))
    offset = beta - mean * scale
    inputs = [reader.last(source)]
    inputs += [
        reader.constant(f"{node.output[0]} {n}", v)
        for n, v in zip("ab", (scale, offset), strict=True)
    ]
    reader.made(node.output[0], turned=True)
    reader.add("scale_channels", node, inputs)


def _unary(kind: str, **defaults: float) -> Callable[[_Reader, Any, dict[str, Any]], None]:
    def convert(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
        source = node.input[0]
        values = {name: float(a.get(name, value)) for name, value in defaults.items()}
        reader.made(node.output[0], turned=source in reader.turned)
        reader.add("unary", node, [source], kind=kind, **values)

    return convert


def _clip(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    low, high = a.get("min", -np.inf), a.get("max", np.inf)
    for index, default in ((1, low), (2, high)):
        if index < len(node.input) and node.input[index]:
            if node.input[index] not in reader.consts:
                raise _NotHere("with bounds that are computed")
            default = reader.consts[node.input[index]].reshape(-1)[0]
        low, high = (default, high) if index == 1 else (low, default)
    source = node.input[0]
    reader.made(node.output[0], turned=source in reader.turned)
    reader.add("unary", node, [source], kind="clip", alpha=float(low), beta=float(high))


def _binary(op: str) -> Callable[[_Reader, Any, dict[str, Any]], None]:
    def convert(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
        if len(node.input) != 2:
            raise _NotHere("of other than two operands")
        turned = any(name in reader.turned for name in node.input) and all(
            name in reader.consts or len(reader.shape(name)) == 4 for name in node.input
        )
        inputs = []
        for name in node.input:
            data = reader.consts.get(name)
            if data is not None and turned:
                data = data.reshape((1,) * (4 - data.ndim) + data.shape).transpose(_TO_LAST)
                inputs.append(reader.constant(name, np.ascontiguousarray(data), _TO_LAST))
            else:
                inputs.append(reader.last(name) if turned else reader.plain(name))
        reader.made(node.output[0], turned=turned)
        reader.add(op, node, inputs, activation="none")

    return convert


def _mean(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    rank = len(reader.shape(source))
    axes = reader.numbers(node, 1) or list(a.get("axes", range(rank)))
    if node.op_type == "GlobalAveragePool":
        axes = list(range(2, rank))
    keeps = node.op_type == "GlobalAveragePool" or a.get("keepdims", 1)
    axes = [axis_of(axis, rank) for axis in axes]
    turned = source in reader.turned
    if turned:
        axes = [_TURNED[axis] for axis in axes]
        # without its dimensions of one the result has ONNX's order only if the mean was over them
        if not keeps and sorted(axes) not in ([1, 2], [0, 1, 2], [1, 2, 3]):
            raise _NotHere("over channels or one side of a picture, whose dimension goes")
    reader.made(node.output[0], turned=turned and bool(keeps))
    reader.add("mean", node, [source], axes=sorted(axes))


def _dense(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    weights = reader.consts.get(node.input[1])
    if weights is None or weights.ndim != 2:
        raise _NotHere("of two tensors that are computed")
    if a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or a.get("transA", 0):
        raise _NotHere("with factors, or of a transposed input")
    order = (0, 1) if a.get("transB", 0) else (1, 0)
    data = np.ascontiguousarray(weights.transpose(order), np.float32)
    inputs = [reader.plain(node.input[0]), reader.constant(node.input[1], data, order)]
    if len(node.input) > 2 and node.input[2]:
        bias = reader.consts.get(node.input[2])
        if bias is None or bias.size not in (1, data.shape[0]):
            raise _NotHere("with another bias than one a column")
        full = np.broadcast_to(bias.reshape(-1), (data.shape[0],)).astype(np.float32)
        inputs.append(reader.constant(node.input[2], full))
    reader.made(node.output[0])
    reader.add("dense", node, inputs, activation="none")


def _reshape(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    inputs = [reader.plain(node.input[0])]
    reader.made(node.output[0])
    reader.add("reshape", node, inputs)


def _same(op: str) -> Callable[[_Reader, Any, dict[str, Any]], None]:
    def convert(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
        source = node.input[0]
        reader.made(node.output[0], turned=source in reader.turned)
        reader.add(op, node, [source])

    return convert


def _quantize(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    _converted(reader, node, "quantize", node.output[0])


def _dequantize(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    _converted(reader, node, "dequantize", node.input[0])


def _converted(reader: _Reader, node: Any, op: str, stored: str) -> None:
    if any(name not in reader.consts for name in node.input[1:3] if name):
        raise _NotHere("with a scale that is computed")
    quant, source = reader.quant(node), node.input[0]
    if quant.per_channel:
        raise _NotHere("of a computed tensor with a scale for each channel")
    turned = source in reader.turned
    if op == "quantize":
        reader.made(node.output[0], turned=turned)
    value = reader.graph.value(stored)
    if value.dtype not in ("i8", "u8"):
        raise _NotHere(f"of type {value.dtype}")
    if value.quant is not None and value.quant != quant:
        raise _NotHere("with another scale than the bytes have")
    value.quant = quant
    if op == "dequantize":
        reader.made(node.output[0], turned=turned)
    reader.add(op, node, [source])


def _transpose(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    rank = len(reader.shape(source))
    order = list(a.get("perm", range(rank - 1, -1, -1)))
    if order == list(_TO_FIRST) and source not in reader.turned:
        # the bytes are those of a turned tensor already
        reader.made(node.output[0], turned=True)
        reader.add("identity", node, [source])
        return
    if order == list(_TO_LAST) and source in reader.turned:
        reader.made(node.output[0])
        reader.add("identity", node, [source])
        return
    inputs = [reader.plain(source)]
    reader.made(node.output[0])
    reader.add("transpose", node, inputs, order=order)


def _concat(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    rank = len(reader.shape(node.output[0]))
    axis = axis_of(a["axis"], rank)
    turned = any(name in reader.turned for name in node.input)
    if turned and any(name in reader.consts for name in node.input):
        raise _NotHere("with a constant")
    inputs = [reader.last(name) if turned else reader.plain(name) for name in node.input]
    reader.made(node.output[0], turned=turned)
    reader.add("concat", node, inputs, axis=_TURNED[axis] if turned else axis, activation="none")


def _slice(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    shape = reader.shape(source)
    begins = reader.numbers(node, 1) if reader.opset >= 10 else list(a["starts"])
    ends = reader.numbers(node, 2) if reader.opset >= 10 else list(a["ends"])
    axes = reader.numbers(node, 3) if reader.opset >= 10 else a.get("axes")
    steps = reader.numbers(node, 4) or [1] * len(shape)
    if begins is None or ends is None:
        raise _NotHere("without begin and end")
    first, step, sizes = [0] * len(shape), [1] * len(shape), list(shape)
    for index, axis in enumerate(axes or range(len(begins))):
        axis = axis_of(axis, len(shape))
        end: int | None = ends[index]
        if steps[index] < 0 and ends[index] < -shape[axis]:
            end = None  # from where it is to the very beginning
        taken = range(*slice(begins[index], end, steps[index]).indices(shape[axis]))
        first[axis], step[axis], sizes[axis] = taken.start, taken.step, len(taken)
    _add_slice(reader, node, source, node.output[0], first, step, sizes)


def _add_slice(
    reader: _Reader,
    node: Any,
    source: str,
    output: str,
    first: list[int],
    step: list[int],
    sizes: list[int],
) -> None:
    turned = source in reader.turned
    if turned:
        first, step, sizes = ([v[axis] for axis in _TO_LAST] for v in (first, step, sizes))
    reader.made(output, turned=turned)
    attributes = {"begin": first, "step": step, "sizes": sizes}
    reader.graph.nodes.append(Node("slice", node.name or output, [source], [output], attributes))


def _split(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    shape = reader.shape(source)
    axis, at = axis_of(a.get("axis", 0), len(shape)), 0
    for output in node.output:
        sizes = list(reader.shape(output))
        first = [at if n == axis else 0 for n in range(len(shape))]
        _add_slice(reader, node, source, output, first, [1] * len(shape), sizes)
        at += sizes[axis]


def _pad(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    if _text(a.get("mode", "constant")) != "constant":
        raise _NotHere(f"of mode {_text(a['mode'])}")
    source = node.input[0]
    if reader.dtype(source) != "f32":
        raise _NotHere("of other numbers than floats")
    rank = len(reader.shape(source))
    pads = reader.numbers(node, 1) or list(a.get("pads", ()))
    if len(pads) != 2 * rank or min(pads) < 0:
        raise _NotHere("that cuts, or pads some axes only")
    value = float(a.get("value", 0.0))
    if len(node.input) > 2 and node.input[2]:
        value = float(reader.consts[node.input[2]].reshape(-1)[0])
    pairs = [(pads[axis], pads[axis + rank]) for axis in range(rank)]
    turned = source in reader.turned
    if turned:
        pairs = [pairs[axis] for axis in _TO_LAST]
    reader.made(node.output[0], turned=turned)
    reader.add("pad", node, [source], pads=pairs, value=value)


def _softmax(reader: _Reader, node: Any, a: dict[str, Any]) -> None:
    source = node.input[0]
    shape = reader.shape(source)
    axis = axis_of(a.get("axis", -1 if reader.opset >= 13 else 1), len(shape))
    if reader.opset < 13 and axis != len(shape) - 1 and np.prod(shape[axis + 1 :]) != 1:
        raise _NotHere("over several axes")
    turned = source in reader.turned
    if turned:
        axis = _TURNED[axis]
    elif np.prod(shape[axis + 1 :]) == 1:
        axis = len(shape) - 1 if axis == len(shape) - 1 else axis
    reader.made(node.output[0], turned=turned)
    reader.add("softmax", node, [source], beta=1.0, axis=axis)


_Converter = Callable[[_Reader, Any, dict[str, Any]], None]
_CONVERTERS: dict[str, _Converter] = {
    "Conv": _conv,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _mean,
    "ReduceMean": _mean,
    "BatchNormalization": _norm,
    "Relu": _unary("relu"),
    "Sigmoid": _unary("sigmoid"),
    "Tanh": _unary("tanh"),
    "Exp": _unary("exp"),
    "Sqrt": _unary("sqrt"),
    "Abs": _unary("abs"),
    "Neg": _unary("neg"),
    "Elu": _unary("elu", alpha=1.0),
    "LeakyRelu": _unary("leaky_relu", alpha=0.01),
    "HardSigmoid": _unary("hard_sigmoid", alpha=0.2, beta=0.5),
    "HardSwish": _unary("hard_swish"),
    "Clip": _clip,
    "Add": _binary("add"),
    "Sub": _binary("sub"),
    "Mul": _binary("mul"),
    "Div": _binary("div"),
    "Max": _binary("maximum"),
    "Min": _binary("minimum"),
    "Gemm": _dense,
    "MatMul": _dense,
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze"), _reshape),
    "Identity": _same("identity"),
    "Dropout": _same("identity"),
    "Cast": _same("cast"),
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "Transpose": _transpose,
    "Concat": _concat,
    "Slice": _slice,
    "Split": _split,
    "Pad": _pad,
    "Softmax": _softmax,
}
