"""C for what is done to each number alone, or to each pair, and for changes of type."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wasmlrun.tiny import quantise
from wasmlrun.tiny.emit.writer import HIGHEST, LOWEST, Emitter, Writer, float_bounds, literal
from wasmlrun.tiny.graph import Array, Graph, Node, broadcast, row_major


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


def _elementwise(writer: Writer, node: Node, number: int) -> None:
    graph = writer.graph
    out = graph.value(node.outputs[0])
    pairing, (first, second) = _pairing(graph, node)
    name = f"{node.op}_{number}"
    pointers = f"{writer.at(first)}, {writer.at(second)}, {writer.at(out.name)}"
    if out.dtype == "f32":
        low, high = float_bounds(node)
        shape = writer.structure("pairing", name, pairing)
        kernel = f"run_float_{node.op}"
        writer.calls.append(f"{kernel}({shape}, {literal(low)}, {literal(high)}, {pointers});")
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


def _unary(writer: Writer, node: Node, number: int) -> None:
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
        f"run_float_{kind}({out.count}, {literal(alpha)}, {literal(beta)}, "
        f"{writer.at(source.name)}, {writer.at(out.name)});"
    )


def _table(writer: Writer, node: Node, table: Array) -> None:
    out = writer.graph.value(node.outputs[0])
    writer.calls.append(
        f"run_int8_table({writer.constant(table, 'int8_t')}, {out.count}, "
        f"{writer.at(node.inputs[0])}, {writer.at(out.name)});"
    )


def _scale_channels(writer: Writer, node: Node, number: int) -> None:
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
            f"run_float_{kernel}({shape}, {LOWEST}, {HIGHEST}, {source}, "
            f"{writer.constant(graph.data(operand).astype(np.float32), 'float')}, "
            f"{writer.at(out.name)});"
        )
        source = writer.at(out.name)


def _quantize(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    if source.dtype == "i8":
        _table(writer, node, quantise.requantise_table(source.scaling, out.scaling))
        return
    scale, zero = quantise.one_of(out.scaling)
    writer.calls.append(
        f"run_quantize({literal(scale)}, {zero}, {out.count}, {writer.at(source.name)}, "
        f"{writer.at(out.name)});"
    )


def _dequantize(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    scale, zero = quantise.one_of(source.scaling)
    writer.calls.append(
        f"run_dequantize({literal(scale)}, {zero}, {out.count}, {writer.at(source.name)}, "
        f"{writer.at(out.name)});"
    )


def _cast(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    kernel = "run_bytes_to_float" if source.dtype == "u8" else "run_signed_bytes_to_float"
    writer.calls.append(f"{kernel}({out.count}, {writer.at(source.name)}, {writer.at(out.name)});")


def _flip_sign(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    writer.calls.append(
        f"run_flip_sign({out.count}, (const uint8_t *){writer.at(source.name)}, "
        f"(uint8_t *){writer.at(out.name)});"
    )


EMITTERS: dict[str, Emitter] = {
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum"), _elementwise),
    "unary": _unary,
    "scale_channels": _scale_channels,
    "quantize": _quantize,
    "dequantize": _dequantize,
    "cast": _cast,
    "flip_sign": _flip_sign,
}
