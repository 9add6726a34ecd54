"""Readable C for a graph: one structure and one call for each operation.

What the calls do is in `kernels/`; the constants go into a file of their own, which the C embeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wasmlrun.tiny import quantise, weights
from wasmlrun.tiny.arena import Arena
from wasmlrun.tiny.graph import Array, Graph, Node, Shape, Value, broadcast, row_major
from wasmlrun.tiny.quantise import Scaling

PIXELS = 4
"""Pixels that a matrix kernel computes at once; `common.h` has the same."""
_GATHERED = 16384
"""Bytes that gathered inputs should not exceed by much: half of a small first cache."""
_MOST_TILES = 16
_LOWEST, _HIGHEST = "-INFINITY", "INFINITY"
_C_TYPES = {"i8": "int8_t", "u8": "uint8_t", "f32": "float"}


@dataclass(slots=True)
class Source:
    """Everything that the compiler needs beside the kernels."""

    layers: str
    """C: the structures, and the function that calls the kernels in turn."""
    constants: bytes
    scratch: int
    """Bytes of the largest step's own memory."""
    expanded: int
    """Bytes of weights that are stored as halves, once they are floats."""
    state: int
    """Bytes that live from one inference to the next."""


def write(graph: Graph, arena: Arena) -> Source:
    """The C of a graph that `support` found nothing wrong with."""
    return _Writer(graph, arena).write()


@dataclass(slots=True)
class _Writer:
    graph: Graph
    arena: Arena
    constants: weights.Constants = field(default_factory=weights.Constants)
    declarations: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    scratch: int = 0
    expanded: int = 0
    state: dict[str, int] = field(default_factory=dict)
    state_size: int = 0

    def write(self) -> Source:
        for name, variable in self.graph.variables.items():
            self.state[name] = self.state_size
            self.state_size += -(-variable.size // 16) * 16
            assert variable.data is not None
            at = self.constants.add(variable.data)
            self.prepared.append(
                f"copy_bytes(state + {self.state[name]}, constants + {at}, {variable.size}); "
                f"/* {_comment(name)} */"
            )
        for number, node in enumerate(self.graph.nodes):
            before = len(self.calls)
            _WRITERS[node.op](self, node, number)
            shape = self._shape_text(node)
            if len(self.calls) > before:
                self.calls[before] = (
                    f"/* {number}: {_comment(node.name)}{shape} */\n  " + (self.calls[before])
                )
        lines = [*self.declarations, "", "static void prepare_layers(void) {"]
        lines += [f"  {line}" for line in self.prepared]
        lines += ["}", "", "static void run_layers(void) {"]
        lines += [f"  {line}" for line in self.calls]
        lines += ["}", ""]
        return Source(
            "\n".join(lines),
            bytes(self.constants.content),
            self.scratch,
            self.expanded,
            self.state_size,
        )

    def _shape_text(self, node: Node) -> str:
        if not node.outputs:
            return ""
        return ", " + "×".join(map(str, self.graph.value(node.outputs[0]).shape))

    # where things are

    def at(self, name: str) -> str:
        """A pointer to a tensor, computed or constant."""
        value = self.graph.value(name)
        kind = _C_TYPES[value.dtype]
        if value.data is not None:
            return f"({kind} *)(constants + {self.constants.add(value.data)})"
        return f"({kind} *)(arena + {self.arena.offsets[name]})"

    def constant(self, array: Array, kind: str) -> str:
        """A pointer to numbers that are put among the constants."""
        return f"(const {kind} *)(constants + {self.constants.add(array)})"

    def floats(self, array: Array) -> str:
        """A pointer to floats, which are stored as halves where that loses nothing."""
        array = np.ascontiguousarray(array, np.float32)
        halves = weights.as_halves(array)
        if halves is None or array.size < 64:
            return self.constant(array, "float")
        at, self.expanded = self.expanded, self.expanded + -(-array.size * 4 // 16) * 16
        stored = self.constant(halves, "uint16_t")
        self.prepared.append(f"expand_halves({array.size}, {stored}, (float *)(expanded + {at}));")
        return f"(const float *)(expanded + {at})"

    def structure(self, kind: str, name: str, fields: Mapping[str, Any]) -> str:
        """Declare a constant structure; its address."""
        inner = ", ".join(f".{key} = {_c(value)}" for key, value in fields.items())
        self.declarations.append(f"static const {kind} {name} = {{{inner}}};")
        return f"&{name}"

    def scaling(self, scaling: Scaling) -> dict[str, Any]:
        """A `scaling` of `int8_scale.h`."""
        multipliers = np.array(scaling.multipliers, np.int32)
        shifts = np.array(scaling.shifts, np.int8)
        if scaling.per_channel:
            multipliers, shifts = weights.of_channels(multipliers), weights.of_channels(shifts)
        return {
            "multiplier": self.constant(multipliers, "int32_t"),
            "shift": self.constant(shifts, "int8_t"),
            "per_channel": int(scaling.per_channel),
            "grows": int(scaling.grows),
            "doubles": int(scaling.doubles),
            "zero": scaling.zero,
            "low": scaling.low,
            "high": scaling.high,
        }

    def use_scratch(self, size: int) -> None:
        """Make sure that there are so many bytes of scratch."""
        self.scratch = max(self.scratch, -(-size // 16) * 16)


def _c(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{k} = {_c(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(_c(v) for v in value) + "}"
    if isinstance(value, float):
        return _float(value)
    return str(value)


def _float(value: float) -> str:
    if math.isinf(value):
        return _HIGHEST if value > 0 else _LOWEST
    return f"{float(np.float32(value))!r}f"


def _comment(text: str) -> str:
    """Text of the model's in a comment: nothing that could end it, nor begin a line."""
    return "".join(c if c.isprintable() and c not in "*\\" else "?" for c in text)[:120]


def _window(node: Node, source: Shape, out: Shape) -> dict[str, int]:
    batch, in_h, in_w, in_c = source
    _, out_h, out_w, out_c = out
    kernel, stride = node["kernel"], node["stride"]
    dilation = node.attributes.get("dilation", (1, 1))
    top, left, _, _ = node["pads"]
    return {
        **{"batch": batch, "in_h": in_h, "in_w": in_w, "in_c": in_c},
        **{"out_h": out_h, "out_w": out_w, "out_c": out_c},
        **{"kernel_h": kernel[0], "kernel_w": kernel[1]},
        **{"stride_h": stride[0], "stride_w": stride[1]},
        **{"dilation_h": dilation[0], "dilation_w": dilation[1]},
        **{"pad_top": top, "pad_left": left},
    }


def _float_bounds(node: Node) -> tuple[float, float]:
    known: dict[str, tuple[float, float]] = {
        "relu": (0.0, math.inf),
        "relu6": (0.0, 6.0),
        "relu_n1_to_1": (-1.0, 1.0),
        "clip": node.attributes.get("bounds", (0.0, 0.0)),
    }
    return known.get(node.attributes.get("activation", "none"), (-math.inf, math.inf))


def _bias(writer: _Writer, node: Node, outputs: int, kind: Any) -> Array:
    if len(node.inputs) > 2 and node.inputs[2]:
        return writer.graph.data(node.inputs[2]).reshape(-1).astype(kind)
    return np.zeros(outputs, kind)


def _tiles(tile_bytes: int, pixels: int) -> int:
    return max(1, min(_GATHERED // tile_bytes, _MOST_TILES, -(-pixels // PIXELS)))


def _products(writer: _Writer, node: Node, number: int) -> None:
    """Convolutions and fully connected layers."""
    graph = writer.graph
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    stored = graph.value(node.inputs[1])
    data = graph.data(node.inputs[1])
    if node.op == "dense":
        outputs, depth = data.shape
        count = source.count // depth
        shape = {"kernel": (1, 1), "stride": (1, 1), "pads": (0, 0, 0, 0)}
        geometry = Node("conv", node.name, [], [], shape)
        window = _window(geometry, (count, 1, 1, depth), (count, 1, 1, outputs))
    else:
        if node.op == "depthwise":  # of one channel: every output sees all of it
            data = data.transpose(3, 1, 2, 0)
        outputs = data.shape[0]
        window = _window(node, source.shape, out.shape)
    matrix = data.reshape(outputs, -1)
    depth = matrix.shape[1]
    pixels = window["batch"] * window["out_h"] * window["out_w"]
    name = f"{node.op}_{number}"
    if source.dtype == "i8":
        rows = matrix.reshape(outputs, window["kernel_h"], -1)
        tile = rows.shape[1] * (rows.shape[2] + rows.shape[2] % 2) * PIXELS * 2
        tiles = _tiles(tile, pixels)
        writer.use_scratch(tile * tiles)
        bias = _bias(writer, node, outputs, np.int32)
        real = matrix.astype(np.int64) - stored.scaling.zero[0]
        largest = quantise.largest_sum(real, bias, source.scaling)
        scaling = quantise.of_products(
            source, stored, out, node["activation"], largest, in_floats=_in_floats(node, stored)
        )
        bias = weights.of_channels(bias)
        layer = writer.structure(
            "int8_conv",
            name,
            {
                "shape": window,
                "weights": writer.constant(weights.int8_matrix(rows), "int8_t"),
                "bias": writer.constant(bias, "int32_t"),
                "in_zero": source.scaling.zero[0],
                "weight_zero": -stored.scaling.zero[0],
                "tiles": tiles,
                "gathered": "(int16_t *)scratch",
                "scale": writer.scaling(scaling),
            },
        )
        kernel = "run_int8_conv"
    else:
        tile = depth * PIXELS * 4
        tiles = _tiles(tile, pixels)
        writer.use_scratch(tile * tiles)
        low, high = _float_bounds(node)
        bias = weights.of_channels(_bias(writer, node, outputs, np.float32))
        layer = writer.structure(
            "float_conv",
            name,
            {
                "shape": window,
                "weights": writer.floats(weights.float_matrix(matrix)),
                "bias": writer.constant(bias, "float"),
                "tiles": tiles,
                "gathered": "(float *)scratch",
                "low": low,
                "high": high,
            },
        )
        kernel = "run_float_conv"
    writer.calls.append(f"{kernel}({layer}, {writer.at(source.name)}, {writer.at(out.name)});")


def _in_floats(node: Node, stored: Value) -> bool:
    return bool(node.attributes.get("in_floats")) and not stored.scaling.per_channel


def _depthwise(writer: _Writer, node: Node, number: int) -> None:
    graph = writer.graph
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    if source.shape[3] == 1:
        _products(writer, node, number)
        return
    stored, channels = graph.value(node.inputs[1]), source.shape[3]
    taps = graph.data(node.inputs[1]).reshape(-1, channels)
    window, name = _window(node, source.shape, out.shape), f"depthwise_{number}"
    if source.dtype == "i8":
        zero, (_, left, _, right) = source.scaling.zero[0], node["pads"]
        real = taps.astype(np.int64) - stored.scaling.zero[0]
        bias = _bias(writer, node, channels, np.int64)
        largest = quantise.largest_sum(real.T, bias, source.scaling)
        bias -= zero * real.sum(axis=0)
        right = max(right, _reach(window) - left - window["in_w"])
        ring = (window["kernel_h"] - 1) * window["dilation_h"] + 1
        writer.use_scratch(ring * (left + window["in_w"] + right) * channels + weights.BLOCK)
        scaling = quantise.of_products(
            source, stored, out, node["activation"], largest, in_floats=_in_floats(node, stored)
        )
        layer = writer.structure(
            "int8_depthwise",
            name,
            {
                "shape": window,
                "weights": writer.constant(weights.int8_taps(taps), "int8_t"),
                "bias": writer.constant(weights.of_channels(bias.astype(np.int32)), "int32_t"),
                "in_zero": zero,
                "weight_zero": -stored.scaling.zero[0],
                "pad_right": right,
                "rows": "(int8_t *)scratch",
                "scale": writer.scaling(scaling),
            },
        )
        kernel = "run_int8_depthwise"
    else:
        low, high = _float_bounds(node)
        layer = writer.structure(
            "float_conv",
            name,
            {
                "shape": window,
                "weights": writer.floats(taps),
                "bias": writer.constant(_bias(writer, node, channels, np.float32), "float"),
                "low": low,
                "high": high,
            },
        )
        kernel = "run_float_depthwise"
    writer.calls.append(f"{kernel}({layer}, {writer.at(source.name)}, {writer.at(out.name)});")


def _reach(window: Mapping[str, int]) -> int:
    """Columns that the windows of a row look at."""
    last = (window["out_w"] - 1) * window["stride_w"]
    return last + (window["kernel_w"] - 1) * window["dilation_w"] + 1


def _pairing(graph: Graph, node: Node) -> tuple[dict[str, Any], list[str]]:
    """Shapes of two operands, as four dimensions; and the operands, in their order."""
    out = graph.value(node.outputs[0]).shape
    size = (1,) * (4 - len(out)) + out
    steps = []
    for name in node.inputs[:2]:
        shape = graph.value(name).shape
        shape = (1,) * (4 - len(shape)) + shape
        steps.append([0 if n == 1 else s for n, s in zip(shape, row_major(shape), strict=True)])
    assert broadcast([graph.value(name).shape for name in node.inputs[:2]]) == out
    if all(graph.value(name).shape == out for name in node.inputs[:2]):
        # nothing is repeated: one long row
        size, steps = (1, 1, 1, math.prod(size)), [[0, 0, 0, 1], [0, 0, 0, 1]]
    return {"size": size, "first_step": steps[0], "second_step": steps[1]}, node.inputs[:2]


def _elementwise(writer: _Writer, node: Node, number: int) -> None:
    graph = writer.graph
    out = graph.value(node.outputs[0])
    pairing, (first, second) = _pairing(graph, node)
    name = f"{node.op}_{number}"
    pointers = f"{writer.at(first)}, {writer.at(second)}, {writer.at(out.name)}"
    if out.dtype == "f32":
        low, high = _float_bounds(node)
        shape = writer.structure("pairing", name, pairing)
        kernel = f"run_float_{node.op}"
        writer.calls.append(f"{kernel}({shape}, {_float(low)}, {_float(high)}, {pointers});")
        return
    a, b, quant = (graph.value(name).scaling for name in (first, second, out.name))
    (a_scale, a_zero), (b_scale, b_zero) = quantise.one_of(a), quantise.one_of(b)
    fields: dict[str, Any] = {"shape": pairing, "first_zero": a_zero, "second_zero": b_zero}
    if node.op == "mul":
        product = np.float32(a_scale) * np.float32(b_scale) / np.float32(quant.scale[0])
        scaling = quantise.of_real(float(product), quant, node["activation"])
        layer = writer.structure("int8_product", name, {**fields, "scale": writer.scaling(scaling)})
        writer.calls.append(f"run_int8_product({layer}, {pointers});")
        return
    common = 2 * max(a_scale, b_scale)
    scaling = quantise.of_real(
        common / ((1 << quantise.SUM_BITS) * quant.scale[0]), quant, node["activation"]
    )
    (am, ashift), (bm, bshift) = (
        quantise.factor(a_scale / common),
        quantise.factor(b_scale / common),
    )
    fields |= {"first_multiplier": am, "second_multiplier": bm}
    fields |= {"first_shift": ashift, "second_shift": bshift, "negative": int(node.op == "sub")}
    layer = writer.structure("int8_sum", name, {**fields, "scale": writer.scaling(scaling)})
    writer.calls.append(f"run_int8_sum({layer}, {pointers});")


def _unary(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    alpha, beta = node.attributes.get("alpha", 1.0), node.attributes.get("beta", 0.0)
    kind = node["kind"]
    if source.dtype == "i8":
        function = quantise.real_function(kind, alpha, beta)
        _table(writer, node, quantise.unary_table(function, source.scaling, out.scaling))
        return
    limits = {"relu": (0.0, math.inf), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}
    if kind in limits:
        kind, (alpha, beta) = "clip", limits[kind]
    writer.calls.append(
        f"run_float_{kind}({out.count}, {_float(alpha)}, {_float(beta)}, "
        f"{writer.at(source.name)}, {writer.at(out.name)});"
    )


def _table(writer: _Writer, node: Node, table: Array) -> None:
    out = writer.graph.value(node.outputs[0])
    writer.calls.append(
        f"run_int8_table({writer.constant(table, 'int8_t')}, {out.count}, "
        f"{writer.at(node.inputs[0])}, {writer.at(out.name)});"
    )


def _scale_channels(writer: _Writer, node: Node, number: int) -> None:
    """A normalisation that no convolution took in: a product and a sum."""
    graph = writer.graph
    out = graph.value(node.outputs[0])
    row = [0, 0, 0, 1]
    rows, channels = out.count // out.shape[-1], out.shape[-1]
    fields = {"size": [1, 1, rows, channels], "first_step": [0, 0, channels, 1], "second_step": row}
    shape = writer.structure("pairing", f"norm_{number}", fields)
    source = writer.at(node.inputs[0])
    for kernel, operand in (("mul", node.inputs[1]), ("add", node.inputs[2])):
        writer.calls.append(
            f"run_float_{kernel}({shape}, {_LOWEST}, {_HIGHEST}, {source}, "
            f"{writer.constant(graph.data(operand).astype(np.float32), 'float')}, "
            f"{writer.at(out.name)});"
        )
        source = writer.at(out.name)


def _pool(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    fields: dict[str, Any] = {"shape": _window(node, source.shape, out.shape)}
    if source.dtype == "i8":
        fields["low"], fields["high"] = quantise.bounds(node["activation"], out.scaling)
        fields["had_no_sign"] = int(node.attributes.get("had_no_sign", False))
    else:
        if node.op == "average_pool":
            fields["counts_padding"] = int(node["counts_padding"])
        fields["low"], fields["high"] = _float_bounds(node)
    kind = "int8" if source.dtype == "i8" else "float"
    layer = writer.structure(f"{kind}_pool", f"{node.op}_{number}", fields)
    writer.calls.append(
        f"run_{kind}_{node.op}({layer}, {writer.at(source.name)}, {writer.at(out.name)});"
    )


def _mean(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    axes = node["axes"]
    outer = math.prod(source.shape[: axes[0]])
    count = math.prod(source.shape[axes[0] : axes[-1] + 1])
    inner = math.prod(source.shape[axes[-1] + 1 :])
    pointers = f"{writer.at(source.name)}, {writer.at(out.name)}"
    if source.dtype == "f32":
        writer.calls.append(f"run_float_mean({outer}, {count}, {inner}, {pointers});")
        return
    fields = {"outer": outer, "count": count, "inner": inner, "in_zero": source.scaling.zero[0]}
    scaling = writer.scaling(quantise.of_mean(source.scaling, out.scaling, count))
    layer = writer.structure("int8_mean", f"mean_{number}", {**fields, "scale": scaling})
    writer.calls.append(f"run_int8_mean({layer}, {pointers});")


def _softmax(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    classes = source.shape[-1]
    sizes = f"{source.count // classes}, {classes}"
    pointers = f"{writer.at(source.name)}, {writer.at(out.name)}"
    if source.dtype == "f32":
        writer.calls.append(f"run_float_softmax({_float(node['beta'])}, {sizes}, {pointers});")
        return
    table = quantise.softmax_table(source.scaling.scale[0], node["beta"])
    scale, zero = quantise.one_of(out.scaling)
    writer.calls.append(
        f"run_int8_softmax({writer.constant(table, 'float')}, {_float(scale)}, {zero}, {sizes}, "
        f"{pointers});"
    )


def _moved(
    writer: _Writer,
    name: str,
    source: str,
    out: str,
    sizes: Sequence[int],
    from_steps: Sequence[int],
    to_steps: Sequence[int],
    starts: tuple[int, int] = (0, 0),
) -> None:
    missing = 5 - len(sizes)
    fields = {
        "size": [1] * missing + list(sizes),
        "from_step": [0] * missing + list(from_steps),
        "to_step": [0] * missing + list(to_steps),
        "from_start": starts[0],
        "to_start": starts[1],
    }
    width = 4 if writer.graph.value(out).dtype == "f32" else 1
    layer = writer.structure("move", name, fields)
    writer.calls.append(f"run_move_{width}({layer}, {writer.at(source)}, {writer.at(out)});")


def _transpose(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps = row_major(source.shape)
    from_steps = [steps[axis] for axis in node["order"]]
    name = f"transpose_{number}"
    _moved(writer, name, source.name, out.name, out.shape, from_steps, row_major(out.shape))


def _slice(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps, sizes = row_major(source.shape), node["sizes"]
    start = sum(begin * step for begin, step in zip(node["begin"], steps, strict=True))
    from_steps = [step * times for step, times in zip(steps, node["step"], strict=True)]
    to_steps = row_major(tuple(sizes))
    name = f"slice_{number}"
    _moved(writer, name, source.name, out.name, sizes, from_steps, to_steps, (start, 0))


def _concat(writer: _Writer, node: Node, number: int) -> None:
    out, axis, at = writer.graph.value(node.outputs[0]), node["axis"], 0
    steps = row_major(out.shape)
    for index, part in enumerate(node.inputs):
        shape = writer.graph.value(part).shape
        name = f"concat_{number}_{index}"
        starts = (0, at * steps[axis])
        _moved(writer, name, part, out.name, shape, row_major(shape), steps, starts)
        at += shape[axis]


def _pad(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps = row_major(out.shape)
    value = node["value"]
    if value is None:
        value = out.scaling.zero[0] if out.quant is not None else 0.0
    target = writer.at(out.name)
    if out.dtype == "f32":
        writer.calls.append(f"run_fill_4({_float(value)}, {out.count}, {target});")
    else:
        writer.calls.append(f"run_fill_1({int(value)}, {out.count}, {target});")
    start = sum(before * step for (before, _), step in zip(node["pads"], steps, strict=True))
    name = f"pad_{number}"
    from_steps = row_major(source.shape)
    _moved(writer, name, source.name, out.name, source.shape, from_steps, steps, (0, start))


def _nothing(writer: _Writer, node: Node, number: int) -> None:
    """Another shape of the same bytes; a copy where they could not be shared."""
    source, out = writer.at(node.inputs[0]), writer.at(node.outputs[0])
    if source != out:
        writer.calls.append(
            f"copy_bytes({out}, {source}, {writer.graph.value(node.outputs[0]).size});"
        )


def _quantize(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    if source.dtype == "i8":
        _table(writer, node, quantise.requantise_table(source.scaling, out.scaling))
        return
    scale, zero = quantise.one_of(out.scaling)
    writer.calls.append(
        f"run_quantize({_float(scale)}, {zero}, {out.count}, {writer.at(source.name)}, "
        f"{writer.at(out.name)});"
    )


def _dequantize(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    scale, zero = quantise.one_of(source.scaling)
    writer.calls.append(
        f"run_dequantize({_float(scale)}, {zero}, {out.count}, {writer.at(source.name)}, "
        f"{writer.at(out.name)});"
    )


def _cast(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    kernel = "run_bytes_to_float" if source.dtype == "u8" else "run_signed_bytes_to_float"
    writer.calls.append(f"{kernel}({out.count}, {writer.at(source.name)}, {writer.at(out.name)});")


def _flip_sign(writer: _Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    writer.calls.append(
        f"run_flip_sign({out.count}, (const uint8_t *){writer.at(source.name)}, "
        f"(uint8_t *){writer.at(out.name)});"
    )


def _variable(writer: _Writer, node: Node, number: int) -> None:
    at = writer.state[node["variable"]]
    size = writer.graph.variables[node["variable"]].size
    if node.op == "read_variable":
        writer.calls.append(f"copy_bytes({writer.at(node.outputs[0])}, state + {at}, {size});")
    else:
        writer.calls.append(f"copy_bytes(state + {at}, {writer.at(node.inputs[0])}, {size});")


_WRITERS: dict[str, Callable[[_Writer, Node, int], None]] = {
    "conv": _products,
    "dense": _products,
    "depthwise": _depthwise,
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum"), _elementwise),
    "unary": _unary,
    "scale_channels": _scale_channels,
    "max_pool": _pool,
    "average_pool": _pool,
    "mean": _mean,
    "softmax": _softmax,
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "pad": _pad,
    "reshape": _nothing,
    "identity": _nothing,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "cast": _cast,
    "flip_sign": _flip_sign,
    "read_variable": _variable,
    "assign_variable": _variable,
}
