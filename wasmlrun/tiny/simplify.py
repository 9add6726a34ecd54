"""Makes a graph smaller before it is built: signed bytes, folded and fused operations.

Nothing here changes a result, except that folding a batch normalisation into the weights before
it rounds once instead of twice.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from wasmlrun.tiny.graph import Graph, Node, Quant, Value

_FUSED = ("conv", "depthwise", "dense", "add", "sub", "mul", "max_pool", "average_pool")
_BOUNDED = ("relu", "relu6", "relu_n1_to_1", "clip")


def simplify(graph: Graph) -> None:
    """Do everything that there is to do."""
    signed(graph)
    for step in (_identity, _folded_norm, _folded_pad, _fused_activation):
        _rewrite(graph, step)
    _joined_scales(graph)
    _unused(graph)


def signed(graph: Graph) -> None:
    """Quantised bytes become signed ones, 128 lower; at the graph's ends they are converted."""
    for node in graph.nodes:
        if node.op in ("conv", "depthwise", "dense"):
            # older kernels round the product of the scales to a float
            source = graph.value(node.inputs[0])
            node.attributes["in_floats"] = source.dtype == "u8" or node.op == "dense"
        if node.op == "average_pool":
            node.attributes["had_no_sign"] = graph.value(node.inputs[0]).dtype == "u8"
    for name in graph.inputs:
        value = graph.value(name)
        if value.dtype == "u8" and value.quant is not None:
            inner = graph.add(Value(f"{name} signed", value.shape, "i8", _lowered(value.quant)))
            for node in graph.nodes:
                node.inputs = [inner if n == name else n for n in node.inputs]
            graph.nodes.insert(0, Node("flip_sign", inner, [name], [inner]))
    outputs = []
    for name in graph.outputs:
        value = graph.value(name)
        if value.dtype == "u8" and value.quant is not None:
            outer = graph.add(Value(f"{name} unsigned", value.shape, "u8", value.quant))
            graph.nodes.append(Node("flip_sign", outer, [name], [outer]))
            outputs.append(outer)
        else:
            outputs.append(name)
    graph.outputs = outputs
    ends = {*graph.inputs, *graph.outputs}
    for value in [*graph.values.values(), *graph.variables.values()]:
        if value.dtype == "u8" and value.quant is not None and value.name not in ends:
            value.dtype, value.quant = "i8", _lowered(value.quant)
            if value.data is not None:
                value.data = (value.data.astype(np.int16) - 128).astype(np.int8)


def _lowered(quant: Quant) -> Quant:
    return Quant(quant.scale, tuple(zero - 128 for zero in quant.zero), quant.axis)


Step = Callable[[Graph, Node, dict[str, list[Node]]], bool]


def _rewrite(graph: Graph, step: Step) -> None:
    """Take out the nodes for which a step has found something better."""
    uses = graph.uses()
    kept = []
    for node in graph.nodes:
        if step(graph, node, uses):
            uses = graph.uses()
        else:
            kept.append(node)
    graph.nodes = kept


def _redirect(graph: Graph, node: Node, old: str, new: str) -> None:
    for other in graph.nodes:
        if other is not node:
            other.inputs = [new if name == old else name for name in other.inputs]
    graph.outputs = [new if name == old else name for name in graph.outputs]


def _identity(graph: Graph, node: Node, uses: dict[str, list[Node]]) -> bool:
    """Quantising to the quantisation that is there; the same type; nothing to do."""
    if node.op not in ("quantize", "cast", "identity"):
        return False
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    if node.op != "identity":
        if source.dtype != out.dtype or (out.quant is not None and source.quant is None):
            return False
        if node.op == "quantize" and _differ(source.quant, out.quant):
            return False
    if source.name in graph.inputs and out.name in graph.outputs:
        return False
    _redirect(graph, node, out.name, source.name)
    return True


def _differ(first: Quant | None, second: Quant | None) -> bool:
    if first is None or second is None:
        return first is not second
    return first.zero[0] != second.zero[0] or not np.isclose(
        first.scale[0], second.scale[0], rtol=1e-6, atol=0
    )


def _producer(graph: Graph, name: str) -> Node | None:
    return next((node for node in graph.nodes if name in node.outputs), None)


def _only_use(graph: Graph, name: str, uses: dict[str, list[Node]]) -> bool:
    return len(uses.get(name, ())) == 1 and name not in graph.outputs


def _folded_norm(graph: Graph, node: Node, uses: dict[str, list[Node]]) -> bool:
    """A channel's factor and offset go into the weights of the convolution before it."""
    if node.op != "scale_channels":
        return False
    before = _producer(graph, node.inputs[0])
    if before is None or before.op not in ("conv", "depthwise", "dense"):
        return False
    if not _only_use(graph, node.inputs[0], uses) or before["activation"] != "none":
        return False
    scale, offset = graph.data(node.inputs[1]), graph.data(node.inputs[2])
    weights = graph.value(before.inputs[1])
    # output channels come first, in depthwise weights last
    wide = scale.reshape((-1,) + (1,) * (len(weights.shape) - 1))
    if before.op == "depthwise":
        wide = scale
    assert weights.data is not None
    folded = (weights.data.astype(np.float64) * wide).astype(np.float32)
    bias = np.zeros(len(scale), np.float32)
    if len(before.inputs) > 2 and before.inputs[2]:
        bias = graph.data(before.inputs[2])
    moved = (bias.astype(np.float64) * scale + offset).astype(np.float32)
    names = [
        graph.add(Value(f"{before.name} weights", weights.shape, "f32", None, folded)),
        graph.add(Value(f"{before.name} bias", moved.shape, "f32", None, moved)),
    ]
    before.inputs = [before.inputs[0], *names]
    _redirect(graph, node, node.outputs[0], node.inputs[0])
    return True


def _folded_pad(graph: Graph, node: Node, uses: dict[str, list[Node]]) -> bool:
    """Zeros around a picture become the padding of the convolution after it."""
    if node.op != "pad" or not _only_use(graph, node.outputs[0], uses):
        return False
    after = uses[node.outputs[0]][0]
    source, pads = graph.value(node.inputs[0]), node["pads"]
    if after.op not in ("conv", "depthwise") or len(pads) != 4 or node["value"] not in (None, 0.0):
        return False
    if pads[0] != (0, 0) or pads[3] != (0, 0) or (source.quant and node["value"] is not None):
        return False
    top, left, bottom, right = after["pads"]
    after.attributes["pads"] = (
        top + pads[1][0],
        left + pads[2][0],
        bottom + pads[1][1],
        right + pads[2][1],
    )
    after.inputs[0] = source.name
    return True


def _fused_activation(graph: Graph, node: Node, uses: dict[str, list[Node]]) -> bool:
    """Bounds become the activation of the operation before them; with floats only."""
    if node.op != "unary" or node["kind"] not in _BOUNDED:
        return False
    before = _producer(graph, node.inputs[0])
    out = graph.value(node.outputs[0])
    if before is None or before.op not in _FUSED or out.dtype != "f32":
        return False
    if before.attributes.get("activation", "none") != "none":
        return False
    if not _only_use(graph, node.inputs[0], uses):
        return False
    before.attributes["activation"] = node["kind"]
    if node["kind"] == "clip":
        before.attributes["bounds"] = (node["alpha"], node["beta"])
    _redirect(graph, node, node.outputs[0], node.inputs[0])
    return True


def _joined_scales(graph: Graph) -> None:
    """What is joined gets the scale of the whole first."""
    nodes = []
    for node in graph.nodes:
        out = graph.value(node.outputs[0]) if node.outputs else None
        if node.op == "concat" and out is not None and out.quant is not None:
            for index, name in enumerate(node.inputs):
                part = graph.value(name)
                if _differ(part.quant, out.quant):
                    scaled = graph.add(Value(f"{name} scaled", part.shape, "i8", out.quant))
                    nodes.append(Node("quantize", scaled, [name], [scaled]))
                    node.inputs[index] = scaled
        nodes.append(node)
    graph.nodes = nodes


def _unused(graph: Graph) -> None:
    """Nodes whose results nobody reads."""
    wanted = set(graph.outputs)
    kept = []
    for node in reversed(graph.nodes):
        if node.op == "assign_variable" or wanted.intersection(node.outputs):
            wanted.update(node.inputs)
            kept.append(node)
    graph.nodes = kept[::-1]
