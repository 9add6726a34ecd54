"""ONNX models in the making."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(7)


class Net:
    """An ONNX model in the making."""

    def __init__(self, shape: tuple[int, ...], dtype: int = TensorProto.FLOAT) -> None:
        self.given = helper.make_tensor_value_info("given", dtype, shape)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def put(self, data: Array | np.generic) -> str:
        """A constant."""
        name = f"c{len(self.constants)}"
        self.constants.append(onnx.numpy_helper.from_array(np.array(data), name))
        return name

    def weights(self, *shape: int, low: float = -1.0) -> str:
        """Random floats."""
        return self.put(RNG.uniform(low, 1.0, shape).astype(np.float32))

    def whole(self, *numbers: int) -> str:
        """Whole numbers, as shapes and axes are."""
        return self.put(np.array(numbers, np.int64))

    def __call__(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        """A node; its output, or its outputs."""
        names = [f"n{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attributes))
        return names[0] if outputs == 1 else names

    def data(self, answer: str, shape: tuple[int, ...], dtype: int = TensorProto.FLOAT) -> bytes:
        """The file."""
        output = helper.make_tensor_value_info(answer, dtype, shape)
        graph = helper.make_graph(self.nodes, "net", [self.given], [output], self.constants)
        opset = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=9)
        return bytes(model.SerializeToString())
