"""A network that OpenVINO has read, written as ONNX: for tests that one model in two formats
gives one answer. It knows the operations of the MobileNets and no others.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper, numpy_helper

_SIMPLE = {"Add": "Add", "Multiply": "Mul", "Subtract": "Sub", "Softmax": "Softmax"}


def convert(model: ov.Model, path: Path) -> None:
    """Write the model as an ONNX file."""
    writer = _Writer()
    for op in model.get_ordered_ops():
        writer.add(op)
    graph = helper.make_graph(
        writer.nodes, "network", writer.inputs, writer.outputs, writer.constants
    )
    opset = helper.make_opsetid("", 17)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(made)
    onnx.save(made, path)


class _Writer:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.constants: list[Any] = []
        self._values: dict[str, np.ndarray] = {}

    def add(self, op: Any) -> None:
        kind, name = op.get_type_name(), op.get_friendly_name()
        sources = [i.get_source_output().get_node().get_friendly_name() for i in op.inputs()]
        attributes = op.get_attributes()
        if kind == "Constant":
            self._constant(name, op.get_data())
        elif kind == "Parameter":
            shape = list(op.get_output_shape(0))
            self.inputs.append(helper.make_tensor_value_info(name, TensorProto.UINT8, shape))
        elif kind == "Result":
            shape = list(op.get_input_shape(0))
            (source,) = sources
            info = helper.make_tensor_value_info(source, self._type(op), shape)
            self.outputs.append(info)
        elif kind == "FakeQuantize":
            self._fake_quantize(name, sources, attributes["levels"])
        elif kind in ("Convolution", "GroupConvolution"):
            self._convolution(name, sources, op, attributes)
        elif kind == "Transpose":
            order = [int(n) for n in self._values[sources[1]]]
            self._node("Transpose", sources[:1], name, perm=order)
        elif kind == "Convert":
            to = {"f32": TensorProto.FLOAT, "u8": TensorProto.UINT8}[attributes["destination_type"]]
            self._node("Cast", sources, name, to=to)
        elif kind == "Clamp":
            low = self._constant(f"{name}/low", np.float32(attributes["min"]))
            high = self._constant(f"{name}/high", np.float32(attributes["max"]))
            self._node("Clip", [*sources, low, high], name)
        elif kind in ("Reshape", "Unsqueeze"):
            target = self._constant(f"{name}/shape", np.array(op.get_output_shape(0), np.int64))
            self._node("Reshape", [sources[0], target], name)
        elif kind == "AvgPool":
            self._node(
                "AveragePool",
                sources,
                name,
                kernel_shape=attributes["kernel"],
                strides=attributes["strides"],
                pads=[*attributes["pads_begin"], *attributes["pads_end"]],
            )
        elif kind == "ReduceMean":
            axes = [int(n) for n in self._values[sources[1]]]
            keep = int(attributes["keep_dims"])
            self._node("ReduceMean", sources[:1], name, axes=axes, keepdims=keep)
        elif kind == "MatMul":
            left, right = sources
            if attributes["transpose_b"]:
                self._node("Transpose", [right], f"{name}/b", perm=[1, 0])
                right = f"{name}/b"
            self._node("MatMul", [left, right], name)
        else:
            more = {"axis": 1} if kind == "Softmax" else {}
            self._node(_SIMPLE[kind], sources, name, **more)

    def _type(self, op: Any) -> int:
        names = {"f32": TensorProto.FLOAT, "u8": TensorProto.UINT8}
        return names[op.get_input_element_type(0).to_string()]

    def _constant(self, name: str, value: Any) -> str:
        value = np.asarray(value)
        self._values[name] = value
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, sources: list[str], name: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, sources, [name], **attributes))

    def _convolution(self, name: str, sources: list[str], op: Any, attributes: Any) -> None:
        data, weights = sources
        shape, groups = list(op.get_input_shape(1)), 1
        if op.get_type_name() == "GroupConvolution":
            groups = shape[0]
            flat = np.array([shape[0] * shape[1], *shape[2:]], np.int64)
            self._constant(f"{name}/flat", flat)
            self._node("Reshape", [weights, f"{name}/flat"], f"{name}/weights")
            weights = f"{name}/weights"
        self._node(
            "Conv",
            [data, weights],
            name,
            group=groups,
            strides=attributes["strides"],
            dilations=attributes["dilations"],
            pads=[*attributes["pads_begin"], *attributes["pads_end"]],
        )

    def _fake_quantize(self, name: str, sources: list[str], levels: int) -> None:
        """Clip to the range, count in whole steps, and scale to the output's range."""
        data, *bounds = sources
        low, high, out_low, out_high = (self._values[b].astype(np.float32) for b in bounds)
        assert low.size == high.size == out_low.size == out_high.size == 1
        step = (high - low) / (levels - 1)
        out_step = (out_high - out_low) / (levels - 1)
        steps: dict[str, np.ndarray] = {"low": low, "high": high, "step": step}
        steps |= {"out_low": out_low, "out_step": out_step}
        made = {
            key: self._constant(f"{name}/{key}", np.float32(value.reshape(-1)[0]))
            for key, value in steps.items()
        }
        self._node("Clip", [data, made["low"], made["high"]], f"{name}/clipped")
        self._node("Sub", [f"{name}/clipped", made["low"]], f"{name}/moved")
        self._node("Div", [f"{name}/moved", made["step"]], f"{name}/steps")
        self._node("Round", [f"{name}/steps"], f"{name}/whole")
        self._node("Mul", [f"{name}/whole", made["out_step"]], f"{name}/scaled")
        self._node("Add", [f"{name}/scaled", made["out_low"]], name)
