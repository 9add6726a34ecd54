"""Small ONNX models, made with the `onnx` package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from kit.models_by_hand import colours_matrix


def colours_onnx(side: int | None = 4) -> bytes:
    """The classifier `colours`; with side None its pictures may have any size."""
    matrix = numpy_helper.from_array(np.array(colours_matrix(), np.float32), "matrix")
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("MatMul", ["mean", "matrix"], ["scores"]),
    ]
    return _model(
        nodes,
        [("picture", TensorProto.FLOAT, [1, side, side, 3])],
        [("scores", TensorProto.FLOAT, [1, 5])],
        [matrix],
    )


def twice_onnx() -> bytes:
    """Two inputs and two outputs: the sum of the inputs, and the first of them."""
    nodes = [
        helper.make_node("Add", ["a", "b"], ["sum"]),
        helper.make_node("Identity", ["a"], ["same"]),
    ]
    ports = [("a", TensorProto.INT32, [4]), ("b", TensorProto.INT32, [4])]
    return _model(nodes, ports, [("sum", TensorProto.INT32, [4]), ("same", TensorProto.INT32, [4])])


def _model(
    nodes: Sequence[Any],
    inputs: Sequence[tuple[str, int, Any]],
    outputs: Sequence[tuple[str, int, Any]],
    constants: Sequence[Any] = (),
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "by_hand",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        constants,
    )
    opset = helper.make_opsetid("", 17)
    return bytes(helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString())
