"""C for what makes one number of many: pools, means, softmax."""

from __future__ import annotations

import math
from typing import Any

from wasmlrun.tiny import quantise
from wasmlrun.tiny.emit.writer import Emitter, Writer, float_bounds, literal, window_of
from wasmlrun.tiny.graph import Node


def _pool(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    fields: dict[str, Any] = {"shape": window_of(node, source.shape, out.shape)}
    if source.dtype == "i8":
        fields["low"], fields["high"] = quantise.bounds(node["activation"], out.scaling)
        fields["had_no_sign"] = int(node.attributes.get("had_no_sign", False))
    else:
        if node.op == "average_pool":
            fields["counts_padding"] = int(node["counts_padding"])
        fields["low"], fields["high"] = float_bounds(node)
    kind = "int8" if source.dtype == "i8" else "float"
    layer = writer.structure(f"{kind}_pool", f"{node.op}_{number}", fields)
    writer.calls.append(
        f"run_{kind}_{node.op}({layer}, {writer.at(source.name)}, {writer.at(out.name)});"
    )


def _mean(writer: Writer, node: Node, number: int) -> None:
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


def _softmax(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    classes = source.shape[-1]
    sizes = f"{source.count // classes}, {classes}"
    pointers = f"{writer.at(source.name)}, {writer.at(out.name)}"
    if source.dtype == "f32":
        writer.calls.append(f"run_float_softmax({literal(node['beta'])}, {sizes}, {pointers});")
        return
    table = quantise.softmax_table(source.scaling.scale[0], node["beta"])
    scale, zero = quantise.one_of(out.scaling)
    writer.calls.append(
        f"run_int8_softmax({writer.constant(table, 'float')}, {literal(scale)}, {zero}, {sizes}, "
        f"{pointers});"
    )


EMITTERS: dict[str, Emitter] = {
    "max_pool": _pool,
    "average_pool": _pool,
    "mean": _mean,
    "softmax": _softmax,
}
