"""Whether a graph's shapes follow from each other, as its operations say.

The kernels believe the shapes. A file that was damaged or made to mislead is told here, by node.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import prod

from wasmlrun.tiny.graph import Graph, Node, Shape, Value, broadcast


def check(graph: Graph) -> None:
    """Raise ValueError for the first node whose shapes contradict it."""
    for value in [*graph.values.values(), *graph.variables.values()]:
        _check_quant(value)
    known = {*graph.inputs, *(n for n, v in graph.values.items() if v.data is not None)}
    for node in graph.nodes:
        rule = _RULES.get(node.op)
        if rule is None:
            known.update(node.outputs)  # told with what cannot be packed
            continue
        for name in node.inputs:
            if name and name not in known:
                raise ValueError(f"{node.op} ({node.name}) reads {name}, which nothing has made")
        least, outputs, fits = rule
        if len([n for n in node.inputs if n]) < least or len(node.outputs) != outputs:
            raise ValueError(f"{node.op} ({node.name}) has too few inputs or outputs")
        shapes = [graph.value(n).shape for n in node.inputs if n]
        out = graph.value(node.outputs[0]).shape if outputs else ()
        known.update(node.outputs)
        if any(size < 1 for shape in [*shapes, out] for size in shape):
            continue  # told with what cannot be packed
        channels = out[-1] if out else 1
        scaled = node.op not in ("conv", "depthwise", "dense") or _scales_fit(
            graph.value(node.inputs[1]), channels
        )
        if not scaled or not fits(node, shapes, out):
            given = ", ".join("×".join(map(str, shape)) for shape in shapes)
            made = "×".join(map(str, out))
            raise ValueError(f"{node.op} ({node.name}) does not make {made} of {given}")
    missing = [name for name in graph.outputs if name not in known]
    if missing and all(node.op in _RULES for node in graph.nodes):
        raise ValueError(f"nothing makes the output {missing[0]}")


def _check_quant(value: Value) -> None:
    quant = value.quant
    if quant is None:
        return
    if not all(math.isfinite(scale) and scale > 0 for scale in quant.scale):
        raise ValueError(f"{value.name} has a scale that is no positive number")
    if len(quant.zero) != len(quant.scale) or not all(-256 < zero < 256 for zero in quant.zero):
        raise ValueError(f"{value.name} has zero points that no byte can have")
    if quant.per_channel and value.data is None:
        raise ValueError(f"{value.name} is computed and has several scales")


def _scales_fit(weights: Value, outputs: int) -> bool:
    return weights.quant is None or len(weights.quant.scale) in (1, outputs)


def _windows(node: Node, source: Shape, out: Shape) -> bool:
    if len(source) != 4 or len(out) != 4 or source[0] != out[0]:
        return False
    top, left, bottom, right = node["pads"]
    dilation = node.attributes.get("dilation", (1, 1))
    if min(top, left, bottom, right) < 0 or min(*node["stride"], *node["kernel"], *dilation) < 1:
        return False
    for axis, (before, after) in enumerate(((top, bottom), (left, right))):
        reach = (node["kernel"][axis] - 1) * dilation[axis] + 1
        # a pool that rounds sizes up looks beyond its padding, and the kernel leaves that out
        last = (out[1 + axis] - 1) * node["stride"][axis] - before
        if last >= source[1 + axis] or before >= reach:
            return False
        if last + reach > source[1 + axis] + after + node["stride"][axis] - 1:
            return False
    return True


def _conv(node: Node, shapes: list[Shape], out: Shape) -> bool:
    source, weights = shapes[:2]
    if len(weights) != 4 or weights[1:3] != tuple(node["kernel"]):
        return False
    if len(source) != 4 or len(out) != 4:
        return True  # told with what cannot be packed
    bias = shapes[2] if len(shapes) > 2 else (out[3],)
    outputs = weights[3] if node.op == "depthwise" else weights[0]
    return _windows(node, source, out) and out[3] == outputs and prod(bias) == outputs


def _pool(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return _windows(node, shapes[0], out) and shapes[0][3] == out[3]


def _dense(node: Node, shapes: list[Shape], out: Shape) -> bool:
    source, weights = shapes[:2]
    if len(weights) != 2 or prod(source) % weights[1] or len(out) < 1:
        return False
    bias = shapes[2] if len(shapes) > 2 else weights[:1]
    rows = prod(source) // weights[1]
    return prod(out) == rows * weights[0] and out[-1] == weights[0] and prod(bias) == weights[0]


def _binary(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return broadcast(shapes[:2]) == out


def _same(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return shapes[0] == out


def _count(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return prod(shapes[0]) == prod(out)


def _channels(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return shapes[0] == out and all(prod(shape) == out[-1] for shape in shapes[1:])


def _mean(node: Node, shapes: list[Shape], out: Shape) -> bool:
    axes = node["axes"]
    if not axes or min(axes) < 0 or max(axes) >= len(shapes[0]):
        return False
    return prod(n for axis, n in enumerate(shapes[0]) if axis not in axes) == prod(out)


def _concat(node: Node, shapes: list[Shape], out: Shape) -> bool:
    axis = node["axis"]
    if not 0 <= axis < len(out) or any(len(shape) != len(out) for shape in shapes):
        return False
    others = {shape[:axis] + shape[axis + 1 :] for shape in [*shapes, out]}
    return len(others) == 1 and sum(shape[axis] for shape in shapes) == out[axis]


def _pad(node: Node, shapes: list[Shape], out: Shape) -> bool:
    pads = node["pads"]
    if len(pads) != len(shapes[0]) or len(out) != len(pads) or min(map(min, pads)) < 0:
        return False
    return out == tuple(n + a + b for n, (a, b) in zip(shapes[0], pads, strict=True))


def _slice(node: Node, shapes: list[Shape], out: Shape) -> bool:
    begin, step, sizes = node["begin"], node["step"], node["sizes"]
    if not len(begin) == len(step) == len(sizes) == len(shapes[0]) or prod(sizes) != prod(out):
        return False
    for first, by, count, size in zip(begin, step, sizes, shapes[0], strict=True):
        if count < 1 or not (0 <= first < size and 0 <= first + by * (count - 1) < size):
            return False
    return True


def _transpose(node: Node, shapes: list[Shape], out: Shape) -> bool:
    order = node["order"]
    if sorted(order) != list(range(len(shapes[0]))):
        return False
    return out == tuple(shapes[0][axis] for axis in order)


def _anything(node: Node, shapes: list[Shape], out: Shape) -> bool:
    return True


# operation -> inputs at least, outputs, whether the shapes fit
_RULES: dict[str, tuple[int, int, Callable[[Node, list[Shape], Shape], bool]]] = {
    "conv": (2, 1, _conv),
    "depthwise": (2, 1, _conv),
    "dense": (2, 1, _dense),
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum"), (2, 1, _binary)),
    "max_pool": (1, 1, _pool),
    "average_pool": (1, 1, _pool),
    **dict.fromkeys(("unary", "quantize", "dequantize", "cast", "identity"), (1, 1, _same)),
    "softmax": (1, 1, _same),
    "reshape": (1, 1, _count),
    "scale_channels": (3, 1, _channels),
    "mean": (1, 1, _mean),
    "concat": (1, 1, _concat),
    "pad": (1, 1, _pad),
    "slice": (1, 1, _slice),
    "transpose": (1, 1, _transpose),
    "read_variable": (0, 1, _anything),
    "assign_variable": (1, 0, _anything),
}
