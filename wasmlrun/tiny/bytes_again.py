"""Operators of bytes, found in graphs that say them as floats between scales.

ONNX tells a quantised model as floats: bytes become floats, an operator works on them, and its
result becomes bytes. Here the three become the one operator of bytes. What has none stays as it
is: it is computed in floats, and right.
"""

from __future__ import annotations

import math

import numpy as np

from wasmlrun.tiny.graph import Graph, Node, Quant, Value
from wasmlrun.tiny.quantise import HIGH, LOW, real_function

_MOVING = ("transpose", "reshape", "identity", "slice", "max_pool", "pad")
_PRODUCTS = ("conv", "depthwise", "dense")
_WITH_ACTIVATION = (*_PRODUCTS, "add", "sub", "mul", "average_pool")
_ONE_SCALE = ("average_pool",)


def find(graph: Graph) -> None:
    """Rewrite the graph, before anything else looks at it."""
    _Finder(graph).find()


class _Finder:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.uses = graph.uses()
        self.bytes: dict[str, str] = {}
        """Floats that were bytes, and the bytes."""
        self.done: set[int] = set()
        self.nodes: list[Node] = []

    def find(self) -> None:
        for node in self.graph.nodes:
            if id(node) in self.done:
                continue
            if node.op == "dequantize":
                self.bytes[node.outputs[0]] = node.inputs[0]
            elif node.op == "quantize" and node.inputs[0] in self.bytes:
                node.inputs = [self.bytes[node.inputs[0]]]
            elif node.op in _MOVING and self._moved(node):
                continue
            else:
                self._computed(node)
            self.nodes.append(node)
        self.graph.nodes = self.nodes

    def _moved(self, node: Node) -> bool:
        """Bytes are moved, and become floats afterwards."""
        graph, given = self.graph, self.graph.value(node.inputs[0])
        out = graph.value(node.outputs[0])
        if given.dtype in ("i8", "u8"):  # moved as bytes in the file already
            if out.quant is None:
                out.quant = given.quant
            return False
        stored = self._stored(node.inputs[0])
        if stored is None or node.attributes.get("value", 0.0) not in (None, 0.0):
            return False
        moved = graph.add(Value(f"{out.name} bytes", out.shape, stored.dtype, stored.quant))
        if node.op == "pad":
            node.attributes["value"] = None  # the zero point
        node.inputs, node.outputs = [stored.name], [moved]
        self.nodes += [node, Node("dequantize", f"{node.name} floats", [moved], [out.name])]
        self.bytes[out.name] = moved
        return True

    def _computed(self, node: Node) -> None:
        """An operator between scales, if there is one of bytes."""
        end = self._end(node)
        if end is None:
            return
        activation, quantize, passed = end
        out = self.graph.value(quantize.outputs[0])
        inputs = self._inputs(node, out)
        if inputs is None:
            return
        node.inputs, node.outputs = inputs, [out.name]
        if node.op in _WITH_ACTIVATION:
            node.attributes["activation"] = activation
        self.done.update(id(other) for other in passed)

    def _end(self, node: Node) -> tuple[str, Node, list[Node]] | None:
        """The activation after a node, and the node that makes bytes of its result."""
        activation, passed = "none", []
        name = node.outputs[0] if len(node.outputs) == 1 else ""
        while len(self.uses.get(name, ())) == 1 and name not in self.graph.outputs:
            after = self.uses[name][0]
            passed.append(after)
            if after.op == "quantize":
                out = self.graph.value(after.outputs[0])
                if activation.startswith("clip") and not _clips_nothing(passed[0], out):
                    return None
                known = activation if activation in ("relu", "relu6") else "none"
                return known, after, passed
            if node.op not in _WITH_ACTIVATION or len(passed) > 1:
                return None
            activation = _activation(after)
            if not activation:
                return None
            name = after.outputs[0]
        return None

    def _inputs(self, node: Node, out: Value) -> list[str] | None:
        if node.op in _PRODUCTS:
            return self._products(node)
        found = [self._stored(name) for name in node.inputs]
        stored = [value for value in found if value is not None and value.quant is not None]
        if len(stored) < len(found) or any(_scales(value) != 1 for value in stored):
            return None
        if node.op == "unary":
            try:
                real_function(node["kind"], 0.0, 0.0)
            except KeyError:
                return None
        elif node.op in _ONE_SCALE:
            if node["counts_padding"] or not _same_scale(stored[0], out):
                return None
        elif node.op not in ("add", "sub", "mul", "mean", "concat"):
            return None
        return [value.name for value in stored]

    def _products(self, node: Node) -> list[str] | None:
        graph = self.graph
        given, weights = self._stored(node.inputs[0]), self._stored(node.inputs[1])
        if given is None or weights is None or given.quant is None or weights.quant is None:
            return None
        outputs = weights.shape[3 if node.op == "depthwise" else 0]
        along = 3 if node.op == "depthwise" else 0
        scales = weights.quant
        if len(set(scales.zero)) > 1 or (scales.per_channel and scales.axis != along):
            return None
        if len(scales.scale) not in (1, outputs):
            return None
        inputs = [given.name, weights.name]
        if len(node.inputs) > 2 and node.inputs[2]:
            scale = given.scaling.scale[0] * np.array(scales.scale, np.float64)
            real = graph.data(node.inputs[2]).astype(np.float64).reshape(-1)
            with np.errstate(all="ignore"):
                bias = np.rint(real / scale)
            if not np.isfinite(bias).all() or np.abs(bias).max() >= 1 << 31:
                return None
            whole = Value(f"{node.name} bias", bias.shape, "i32", None, bias.astype(np.int32))
            inputs.append(graph.add(whole))
        return inputs

    def _stored(self, name: str) -> Value | None:
        """The bytes that some floats were."""
        value = self.graph.value(name)
        if name in self.bytes:
            return self.graph.value(self.bytes[name])
        if value.stored is None or value.stored.dtype not in ("i8", "u8"):
            return None
        made = self.graph.add(value.stored)
        self.bytes[name] = made
        return value.stored


def _scales(value: Value) -> int:
    return len(value.scaling.scale)


def _same_scale(first: Value, second: Value) -> bool:
    a, b = first.scaling, second.scaling
    return _zero(first, a) == _zero(second, b) and math.isclose(
        a.scale[0], b.scale[0], rel_tol=1e-6
    )


def _zero(value: Value, quant: Quant) -> int:
    return quant.zero[0] - (128 if value.dtype == "u8" else 0)


def _activation(node: Node) -> str:
    if node.op != "unary":
        return ""
    if node["kind"] == "clip":
        bounds = (node["alpha"], node["beta"])
        return {(0.0, 6.0): "relu6", (0.0, math.inf): "relu"}.get(bounds, "clip")
    return node["kind"] if node["kind"] in ("relu", "relu6") else ""


def _clips_nothing(node: Node, out: Value) -> bool:
    """Whether the bytes reach no further than the bounds."""
    scale, zero = out.scaling.scale[0], _zero(out, out.scaling)
    low, high = (LOW - zero) * scale, (HIGH - zero) * scale
    return bool(node["alpha"] <= low + scale / 2 and node["beta"] >= high - scale / 2)
