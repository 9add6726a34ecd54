"""ONNX's operators on quantised tensors, told as what they mean: floats between scales.

QLinearConv and its kin become DequantizeLinear of each input, the operator of floats, and
QuantizeLinear; `bytes_again` finds the operators of bytes in that again, as it does in files that
come so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx

_MICROSOFT = "com.microsoft"
# inputs: tensor, scale, zero point; then the result's scale and zero point
_OF_ONE = {
    "QLinearAveragePool": "AveragePool",
    "QLinearGlobalAveragePool": "GlobalAveragePool",
    "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearSoftmax": "Softmax",
}
_OF_TWO = {"QLinearAdd": "Add", "QLinearMul": "Mul", "QLinearMatMul": "MatMul"}
_DOMAINS = {"QLinearConv": "", "QLinearMatMul": ""}


def expand(graph: onnx.GraphProto) -> None:
    """Replace the operators on quantised tensors, where they stand."""
    expander = _Expander(graph)
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        expander.nodes = []
        if node.domain == _MICROSOFT and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            node.domain = ""
        convert = _EXPANSIONS.get(node.op_type)
        known = node.domain == _DOMAINS.get(node.op_type, _MICROSOFT)
        if convert is not None and known and convert(expander, node):
            nodes += expander.nodes
        else:
            nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)


class _Expander:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.graph = graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        self.nodes: list[onnx.NodeProto] = []
        self.made = 0

    def name(self, node: onnx.NodeProto) -> str:
        self.made += 1
        return f"{node.output[0]} qlinear {self.made}"

    def floats(self, node: onnx.NodeProto, at: int, axis: int = 0) -> str:
        """The floats of an input that is followed by its scale and zero point."""
        from onnx import helper

        name, given = self.name(node), [n for n in node.input[at : at + 3] if n]
        self.nodes.append(
            helper.make_node("DequantizeLinear", given, [name], f"{node.name} in", axis=axis)
        )
        return name

    def bias(self, node: onnx.NodeProto, name: str, scales: tuple[str, str]) -> str | None:
        """A bias whose scale is the product of two; None where one is not in the file."""
        from onnx import helper, numpy_helper

        if any(n not in self.constants for n in scales):
            return None
        first, second = (numpy_helper.to_array(self.constants[n]).reshape(-1) for n in scales)
        product = np.asarray(first * second, np.float32)
        scale, made = self.name(node), self.name(node)
        tensor = numpy_helper.from_array(product if product.size > 1 else product[0], scale)
        self.graph.initializer.append(tensor)
        self.nodes.append(
            helper.make_node("DequantizeLinear", [name, scale], [made], f"{node.name} bias", axis=0)
        )
        return made

    def operator(self, op: str, node: onnx.NodeProto, inputs: list[str], ends: list[str]) -> None:
        """The operator of floats, and its result with a scale again if there is one."""
        from onnx import helper

        result = self.name(node) if ends else node.output[0]
        made = helper.make_node(op, inputs, [result], node.name)
        made.attribute.extend(a for a in node.attribute if a.name not in ("channels_last", "opset"))
        self.nodes.append(made)
        if ends:
            given = [result, *(n for n in ends if n)]
            end = helper.make_node("QuantizeLinear", given, [node.output[0]], f"{node.name} out")
            self.nodes.append(end)


def _flag(node: onnx.NodeProto, name: str) -> int:
    return next((int(a.i) for a in node.attribute if a.name == name), 0)


def _of_one(expander: _Expander, node: onnx.NodeProto) -> bool:
    if _flag(node, "channels_last"):
        return False
    ends = list(node.input[3:5])
    expander.operator(_OF_ONE[node.op_type], node, [expander.floats(node, 0)], ends)
    return True


def _of_two(expander: _Expander, node: onnx.NodeProto) -> bool:
    # a matrix has its scales along its last axis
    inputs = [expander.floats(node, 0), expander.floats(node, 3, -1)]
    expander.operator(_OF_TWO[node.op_type], node, inputs, list(node.input[6:8]))
    return True


def _conv(expander: _Expander, node: onnx.NodeProto) -> bool:
    inputs = [expander.floats(node, 0), expander.floats(node, 3)]
    if len(node.input) > 8 and node.input[8]:
        bias = expander.bias(node, node.input[8], (node.input[1], node.input[4]))
        if bias is None:
            return False
        inputs.append(bias)
    expander.operator("Conv", node, inputs, list(node.input[6:8]))
    return True


def _gemm(expander: _Expander, node: onnx.NodeProto) -> bool:
    axis = 0 if _flag(node, "transB") else 1
    inputs = [expander.floats(node, 0), expander.floats(node, 3, axis)]
    if len(node.input) > 6 and node.input[6]:
        bias = expander.bias(node, node.input[6], (node.input[1], node.input[4]))
        if bias is None:
            return False
        inputs.append(bias)
    expander.operator("Gemm", node, inputs, list(node.input[7:9]))
    return True


def _concat(expander: _Expander, node: onnx.NodeProto) -> bool:
    inputs = [expander.floats(node, at) for at in range(2, len(node.input), 3)]
    expander.operator("Concat", node, inputs, list(node.input[:2]))
    return True


_EXPANSIONS: dict[str, Callable[[_Expander, onnx.NodeProto], bool]] = {
    **dict.fromkeys(_OF_ONE, _of_one),
    **dict.fromkeys(_OF_TWO, _of_two),
    "QLinearConv": _conv,
    "QGemm": _gemm,
    "QLinearConcat": _concat,
}
