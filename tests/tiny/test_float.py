"""Floats against OpenVINO: ONNX in its own order, packed with channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kit.needs import needs
from kit.packed import Library, litert, openvino
from kit.tflite_by_hand import INT8, INT32, ByHand
from tiny.conftest import Packer

needs("onnx", "onnx")

from kit.onnx_net import RNG, Net  # noqa: E402
from onnx import TensorProto  # noqa: E402

from wasmlrun.support.errors import BadModel  # noqa: E402
from wasmlrun.support.model_source import Encoding, ModelSource  # noqa: E402
from wasmlrun.tiny import onnxfile, packable  # noqa: E402
from wasmlrun.tiny.pack import prepare  # noqa: E402
from wasmlrun.tiny.simplify import simplify  # noqa: E402

Array = np.ndarray[Any, Any]


def blocks() -> tuple[bytes, tuple[int, ...]]:
    """Convolutions, a normalisation to fold, pools, a residual, a classifier."""
    net = Net((1, 3, 17, 15))
    x = net("Conv", "given", net.weights(10, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 2])
    norm = [net.weights(10, low=0.5) for _ in range(4)]
    x = net("Relu", net("BatchNormalization", x, *norm))
    y = net("Conv", x, net.weights(10, 1, 3, 3), net.weights(10), group=10, pads=[1, 1, 1, 1])
    y = net("Clip", y, net.put(np.float32(0)), net.put(np.float32(6)))
    x = net("Add", x, net("Conv", y, net.weights(10, 10, 1, 1), net.weights(10)))
    x = net("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    x = net("Flatten", net("GlobalAveragePool", x))
    x = net("Gemm", x, net.weights(7, 10), net.weights(7), transB=1)
    return net.data(net("Softmax", x, axis=1), (1, 7)), (1, 3, 17, 15)


def squeezed() -> tuple[bytes, tuple[int, ...]]:
    """MobileNetV3's parts: squeeze and excitation, hard swish, SAME padding, 5 × 5."""
    net = Net((1, 8, 9, 9))
    x = net("HardSwish", net("Conv", "given", net.weights(16, 8, 1, 1), net.weights(16)))
    x = net("Conv", x, net.weights(16, 1, 5, 5), group=16, auto_pad="SAME_UPPER", strides=[2, 2])
    s = net("ReduceMean", x, axes=[2, 3], keepdims=1)
    s = net("Relu", net("Conv", s, net.weights(4, 16, 1, 1), net.weights(4)))
    s = net("HardSigmoid", net("Conv", s, net.weights(16, 4, 1, 1)), alpha=0.2, beta=0.5)
    x = net("Mul", x, s)
    x = net("AveragePool", x, kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1)
    return net.data(net("Reshape", x, net.whole(1, -1)), (1, 400)), (1, 8, 9, 9)


def moved() -> tuple[bytes, tuple[int, ...]]:
    """Splits, joins, slices, padding, transposition, on both orders of axes."""
    net = Net((1, 6, 5, 4))
    x = net("Conv", "given", net.weights(6, 6, 1, 1))
    a, b = net("Split", x, net.whole(2, 4), outputs=2, axis=1)
    a = net("Slice", a, net.whole(-1, 0), net.whole(-99, 3), net.whole(2, 3), net.whole(-1, 1))
    b = net("Slice", b, net.whole(0), net.whole(3), net.whole(3))
    x = net("Concat", a, b, axis=1)
    x = net("Pad", x, net.whole(0, 1, 0, 2, 0, 0, 1, 0), net.put(np.float32(0.5)))
    x = net("Sub", x, net.weights(7, 1, 1))
    x = net("Div", net("Max", x, net.put(np.float32(-0.2))), net.put(np.float32(3)))
    x = net("Transpose", x, perm=[0, 3, 2, 1])
    x = net("Squeeze", net("Tanh", x), net.whole(0))
    x = net("Exp", net("MatMul", x, net.weights(7, 3)))
    return net.data(net("Softmax", x, axis=-1), (5, 6, 3)), (1, 6, 5, 4)


def folded() -> tuple[bytes, tuple[int, ...]]:
    """Constants that are computed, shapes that are asked for, halves."""
    net = Net((1, 4, 4, 3))
    x = net("Transpose", "given", perm=[0, 3, 1, 2])
    half = net.put(RNG.uniform(-1, 1, (8, 3, 3, 3)).astype(np.float16))
    x = net("Conv", x, net("Cast", half, to=TensorProto.FLOAT), pads=[1, 1, 1, 1])
    first = net("Gather", net("Shape", x), net.put(np.array(0, np.int64)))
    shape = net("Concat", net("Unsqueeze", first, net.whole(0)), net.whole(-1), axis=0)
    return net.data(net("Sigmoid", net("Reshape", x, shape)), (1, 128)), (1, 4, 4, 3)


CASES: dict[str, Callable[[], tuple[bytes, tuple[int, ...]]]] = {
    "blocks": blocks,
    "squeezed": squeezed,
    "moved": moved,
    "folded": folded,
}


@pytest.mark.parametrize("case", CASES)
def test_as_openvino(case: str, packed: Packer) -> None:
    model, shape = CASES[case]()
    inputs = RNG.uniform(-1, 1, shape).astype(np.float32)
    wanted = openvino(model, inputs)
    for simd in ("simd", "relaxed", "none"):
        library = Library(packed(model, simd=simd).output)
        got = np.frombuffer(library(inputs.tobytes()), np.float32).reshape(wanted.shape)
        assert np.allclose(got, wanted, rtol=1e-5, atol=1e-5), (simd, abs(got - wanted).max())


def test_tensorflow_lite_floats_and_bytes_between(packed: Packer) -> None:
    needs("ai_edge_litert", "ai-edge-litert")
    b = ByHand()
    given = b.tensor([1, 6, 6, 3], "f32")
    weights = b.tensor([5, 3, 3, 3], "f32", data=RNG.uniform(-1, 1, (5, 3, 3, 3)))
    bias = b.tensor([5], "f32", data=RNG.uniform(-1, 1, 5))
    mapped = b.tensor([1, 6, 6, 5], "f32")
    options = [(0, INT8, 0), (1, INT32, 1), (2, INT32, 1), (3, INT8, 3), (4, INT32, 1)]
    b.add("CONV_2D", [given, weights, bias], mapped, *options, (5, INT32, 1))
    stored = b.add("QUANTIZE", [mapped], b.tensor([1, 6, 6, 5], "i8", 6 / 255, -128))
    total = b.tensor([1, 6, 6, 5], "i8", 0.06, -120)
    b.add("ADD", [stored, stored], total, (0, INT8, 0))
    answer = b.add("DEQUANTIZE", [total], b.tensor([1, 6, 6, 5], "f32"))
    model = b.data(given, answer)
    inputs = RNG.uniform(-1, 1, (1, 6, 6, 3)).astype(np.float32)
    wanted = litert(model, inputs)
    got = np.frombuffer(Library(packed(model).output)(inputs.tobytes()), np.float32)
    assert np.allclose(got.reshape(wanted.shape), wanted, atol=1e-6)


def test_weights_that_are_stored_as_halves(packed: Packer) -> None:
    needs("ai_edge_litert", "ai-edge-litert")
    b = ByHand()
    given = b.tensor([2, 20], "f32")
    half = b.tensor([9, 20], "f16", data=RNG.uniform(-1, 1, (9, 20)))
    weights = b.add("DEQUANTIZE", [half], b.tensor([9, 20], "f32"))
    answer = b.tensor([2, 9], "f32")
    b.add("FULLY_CONNECTED", [given, weights], answer, (0, INT8, 0))
    model = b.data(given, answer)
    inputs = RNG.uniform(-1, 1, (2, 20)).astype(np.float32)
    got = np.frombuffer(Library(packed(model).output)(inputs.tobytes()), np.float32)
    assert np.allclose(got.reshape(2, 9), litert(model, inputs), atol=1e-5)


def test_an_input_without_a_fixed_size_is_told() -> None:
    net = Net((1, 3, None, 8))  # type: ignore[arg-type]
    x = net("Conv", "given", net.weights(4, 3, 1, 1))
    data = net.data(x, (1, 4, None, 8))  # type: ignore[arg-type]
    why = r"the input \(given\): its size is not fixed: \[1, 3, 0, 8\]"
    with pytest.raises(BadModel, match=why):
        prepare(ModelSource(Encoding.ONNX, (data,)), "m.onnx")


def test_the_default_model(packed: Packer) -> None:
    from wasmlrun.support import bundled

    path = bundled.model(bundled.DEFAULT_MODEL)
    assert path is not None
    model = (path / f"{path.name}.onnx").read_bytes()
    made = packed(model)
    # the weights stay halves
    assert made.size <= len(model) + 120_000
    library = Library(made.output)
    for _ in range(2):
        inputs = RNG.integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
        got = np.frombuffer(library(inputs.tobytes()), np.float32)
        assert np.allclose(got, openvino(model, inputs).reshape(-1), atol=1e-5)
    assert library.memory == made.memory


def test_forms_that_are_not_packed_are_named() -> None:
    net = Net((1, 8, 9, 9))
    x = net("Conv", "given", net.weights(8, 2, 3, 3), group=4)
    x = net("Erf", net("Relu", x))
    x = net("Pad", x, net.whole(0, 0, 1, 1, 0, 0, 1, 1), mode="reflect")
    graph = onnxfile.read(net.data(x, (1, 8, 9, 9)), "m.onnx")
    simplify(graph)
    with pytest.raises(BadModel) as raised:
        packable.require(graph, "m.onnx")
    lines = raised.value.message.splitlines()
    assert lines[0] == "model m.onnx has 3 operations that cannot be packed:"
    assert [line.split(" (")[0].strip() for line in lines[1:]] == [
        "Conv of 4 groups",
        "Erf",
        "Pad of mode reflect",
    ]


def test_a_damaged_file_is_told() -> None:
    data = blocks()[0]
    with pytest.raises(BadModel, match="cannot be read as ONNX"):
        onnxfile.read(data[: len(data) // 2], "m.onnx")
