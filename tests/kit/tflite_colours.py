"""Small TensorFlow Lite models, made with the schema that travels in the LiteRT package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from kit.models_by_hand import colours_matrix

_F32, _I32 = schema.TensorType.FLOAT32, schema.TensorType.INT32


def colours_tflite(side: int = 4) -> bytes:
    """The classifier `colours`; with side -1 its pictures may have any size."""
    model = _Model()
    picture = model.tensor("picture", _F32, (1, side, side, 3))
    axes = model.tensor("axes", _I32, (2,), np.array([1, 2], np.int32))
    mean = model.tensor("mean", _F32, (1, 3))
    rows = np.array(colours_matrix(), np.float32).T.copy()
    matrix = model.tensor("matrix", _F32, (5, 3), rows)
    scores = model.tensor("scores", _F32, (1, 5))
    model.operator(schema.BuiltinOperator.MEAN, [picture, axes], [mean], schema.ReducerOptionsT())
    model.operator(
        schema.BuiltinOperator.FULLY_CONNECTED,
        [mean, matrix, -1],
        [scores],
        schema.FullyConnectedOptionsT(),
    )
    return model.finished([picture], [scores])


def sum_tflite() -> bytes:
    """Two inputs and two outputs: the sum of the inputs, and the first of them."""
    model = _Model()
    a, b, total, same, shape = (
        model.tensor("a", _I32, (4,)),
        model.tensor("b", _I32, (4,)),
        model.tensor("sum", _I32, (4,)),
        model.tensor("same", _I32, (4,)),
        model.tensor("shape", _I32, (1,), np.array([4], np.int32)),
    )
    model.operator(schema.BuiltinOperator.ADD, [a, b], [total], schema.AddOptionsT())
    model.operator(schema.BuiltinOperator.RESHAPE, [a, shape], [same], schema.ReshapeOptionsT())
    return model.finished([a, b], [total, same])


class _Model:
    def __init__(self) -> None:
        self._graph = schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._model = schema.ModelT()
        self._model.version = 3
        self._model.buffers, self._model.operatorCodes = [schema.BufferT()], []

    def tensor(
        self, name: str, kind: int, shape: Sequence[int], data: np.ndarray | None = None
    ) -> int:
        made = schema.TensorT()
        made.name, made.type = name.encode(), kind
        made.shape = [max(n, 1) for n in shape]
        if -1 in shape:
            made.shapeSignature, made.hasRank = list(shape), True
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(data.tobytes(), np.uint8)
            self._model.buffers.append(buffer)
            made.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(made)
        return len(self._graph.tensors) - 1

    def operator(
        self, code: int, inputs: Sequence[int], outputs: Sequence[int], options: Any
    ) -> None:
        named = schema.OperatorCodeT()
        named.builtinCode = named.deprecatedBuiltinCode = code
        self._model.operatorCodes.append(named)
        made = schema.OperatorT()
        made.opcodeIndex = len(self._model.operatorCodes) - 1
        made.inputs, made.outputs = list(inputs), list(outputs)
        made.builtinOptions = options
        kind = type(options).__name__.removesuffix("T")
        made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        self._graph.operators.append(made)

    def finished(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        self._graph.inputs, self._graph.outputs = list(inputs), list(outputs)
        self._model.subgraphs = [self._graph]
        builder = flatbuffers.Builder(1024)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())
