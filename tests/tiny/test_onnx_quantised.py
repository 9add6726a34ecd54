"""Quantised ONNX models against ONNX Runtime: between scales, and as operators of bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.needs import needs
from kit.packed import Library
from tiny.conftest import Packer

needs("onnx", "onnx")
needs("onnxruntime", "onnxruntime")

from kit.onnx_net import RNG, Net  # noqa: E402
from onnx import TensorProto  # noqa: E402
from tiny.test_float import blocks  # noqa: E402

from wasmlrun.support.errors import BadModel  # noqa: E402
from wasmlrun.support.model_source import Encoding, ModelSource  # noqa: E402
from wasmlrun.tiny.pack import prepare  # noqa: E402

Array = np.ndarray[Any, Any]
MICROSOFT: dict[str, Any] = {"domain": "com.microsoft"}


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """The same weights and inputs whatever was tested before."""
    RNG.bit_generator.state = np.random.default_rng(7).bit_generator.state


def runtime(model: bytes, inputs: Array) -> Array:
    """ONNX Runtime's answer, operators as the file has them."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    answer: Array = session.run(None, {"given": inputs})[0]
    return answer


def written(model: bytes) -> str:
    return prepare(ModelSource(Encoding.ONNX, (model,)), "m.onnx")[2].layers


class Scales(Net):
    """A model with scales: `ends` is their type."""

    def __init__(self, shape: tuple[int, ...], ends: Any, dtype: int = TensorProto.FLOAT) -> None:
        super().__init__(shape, dtype)
        self.ends = ends

    def scale(self, scale: float, real_zero: float = 0.0) -> list[str]:
        """Scale and zero point; that of bytes in the middle of their range is no zero."""
        middle = 128 if self.ends is np.uint8 else 0
        zero = np.array(middle + round(real_zero / scale), self.ends)
        return [self.put(np.float32(scale)), self.put(zero)]

    def through(self, x: str, scale: float, real_zero: float = 0.0) -> str:
        """Bytes and back."""
        known = self.scale(scale, real_zero)
        return str(self("DequantizeLinear", self("QuantizeLinear", x, *known), *known))

    def stored(self, *shape: int, axis: int | None = None) -> str:
        """Weights of 7 bits, with which no kernel of ONNX Runtime saturates."""
        count = shape[axis] if axis is not None else 1
        data = RNG.integers(-63, 64, shape).astype(np.int8)
        scale = RNG.uniform(0.004, 0.012, count).astype(np.float32)
        zero = np.zeros(count, np.int8)
        if axis is None:
            names = [self.put(data), self.put(scale[0]), self.put(zero[0])]
            return str(self("DequantizeLinear", *names))
        names = [self.put(data), self.put(scale), self.put(zero)]
        return str(self("DequantizeLinear", *names, axis=axis))


def between_scales(ends: Any) -> tuple[bytes, float]:
    """A small network as quantisers write it, and the scale of its answer."""
    net = Scales((1, 3, 17, 15), ends)
    x = net.through("given", 2 / 255)
    x = net("Conv", x, net.stored(10, 3, 3, 3, axis=0), net.weights(10), pads=[1] * 4)
    x = net.through(net("Relu", x), 0.02, -1.2)
    y = net("Conv", x, net.stored(10, 1, 3, 3, axis=0), group=10, strides=[2, 2], pads=[1] * 4)
    y = net("Clip", y, net.put(np.float32(0)), net.put(np.float32(6)))
    y = net.through(y, 0.03, -3)
    z = net.through(net("Conv", x, net.stored(10, 10, 1, 1), strides=[2, 2]), 0.05)
    y = net.through(net("Add", y, z), 0.06, -1)
    y = net.through(net("Mul", y, net.through(net("Sigmoid", y), 1 / 255, -0.5)), 0.05, -2)
    y = net("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net("Transpose", net.through(y, 0.05, -2), perm=[0, 2, 3, 1])
    y = net("Reshape", y, net.whole(1, 25 - 5, 10))
    y = net.through(net("ReduceMean", y, axes=[1], keepdims=0), 0.03, -1)
    y = net.through(net("Gemm", y, net.stored(7, 10), net.weights(7), transB=1), 0.02)
    return net.data(y, (1, 7)), 0.02


@pytest.mark.parametrize("ends", [np.int8, np.uint8])
def test_between_scales(ends: Any, packed: Packer) -> None:
    model, unit = between_scales(ends)
    assert "run_float" not in written(model)
    library = Library(packed(model).output)
    for _ in range(3):
        inputs = RNG.uniform(-1, 1, (1, 3, 17, 15)).astype(np.float32)
        wanted = runtime(model, inputs)
        got = np.frombuffer(library(inputs.tobytes()), np.float32).reshape(wanted.shape)
        assert len(np.unique(wanted)) > 3
        # each of eight steps may round a half the other way, and the last adds ten of them up
        units = np.rint(abs(got - wanted) / unit)
        assert units.max() <= 2, units
        assert (units <= 1).sum() >= 6, units


def of_bytes() -> tuple[bytes, tuple[int, ...]]:
    """Operators on quantised tensors, bytes without sign in and out."""
    net = Scales((1, 4, 9, 9), np.uint8, TensorProto.UINT8)
    inner, outer, sigmoid = net.scale(0.02), net.scale(0.04, -1), net.scale(1 / 256, -0.5)
    weights = [net.put(RNG.integers(-63, 64, (8, 4, 3, 3)).astype(np.int8))]
    weights += [net.put(np.full(8, 0.01, np.float32)), net.put(np.zeros(8, np.int8))]
    bias = net.put(RNG.integers(-900, 900, 8).astype(np.int32))
    x = net("QLinearConv", "given", *inner, *weights, *outer, bias, pads=[1, 1, 1, 1])
    gate = net("QLinearSigmoid", x, *outer, *sigmoid, **MICROSOFT)
    y = net("QLinearMul", x, *outer, gate, *sigmoid, *inner, **MICROSOFT)
    y = net("QLinearLeakyRelu", y, *inner, *outer, alpha=0.1, **MICROSOFT)
    y = net("QLinearAdd", x, *outer, y, *outer, *inner, **MICROSOFT)
    y = net("QLinearConcat", *inner, y, *inner, x, *outer, axis=1, **MICROSOFT)
    y = net("MaxPool", y, kernel_shape=[2, 2], strides=[2, 2])
    y = net(
        "QLinearAveragePool", y, *inner, *inner, kernel_shape=[2, 2], strides=[2, 2], **MICROSOFT
    )
    y = net("QLinearGlobalAveragePool", y, *inner, *inner, channels_last=0, **MICROSOFT)
    y = net("Reshape", y, net.whole(1, 16))
    return net.data(y, (1, 16), TensorProto.UINT8), (1, 4, 9, 9)


def matrices_of_bytes() -> tuple[bytes, tuple[int, ...]]:
    """Products of matrices, one with a scale for each output."""
    net = Scales((1, 16), np.uint8, TensorProto.UINT8)
    inner, outer = net.scale(0.02), net.scale(0.06)
    matrix = [net.put(RNG.integers(-63, 64, (16, 12)).astype(np.int8))]
    matrix += [net.put(np.float32(0.01)), net.put(np.int8(0))]
    y = net("QLinearMatMul", "given", *inner, *matrix, *outer)
    dense = [net.put(RNG.integers(-63, 64, (5, 12)).astype(np.int8))]
    dense += [net.put(RNG.uniform(0.002, 0.004, 5).astype(np.float32))]
    dense += [net.put(np.zeros(5, np.int8))]
    offsets = net.put(RNG.integers(-90, 90, 5).astype(np.int32))
    y = net("QGemm", y, *outer, *dense, offsets, *outer, transB=1, **MICROSOFT)
    return net.data(y, (1, 5), TensorProto.UINT8), (1, 16)


@pytest.mark.parametrize("make", [of_bytes, matrices_of_bytes])
def test_operators_of_bytes(
    make: Callable[[], tuple[bytes, tuple[int, ...]]], packed: Packer
) -> None:
    model, shape = make()
    assert "run_float" not in written(model)
    library = Library(packed(model).output)
    for _ in range(3):
        inputs = RNG.integers(0, 256, shape).astype(np.uint8)
        wanted = runtime(model, inputs).reshape(-1).astype(int)
        got = np.frombuffer(library(inputs.tobytes()), np.uint8).astype(int)
        assert len(np.unique(wanted)) > 3
        assert abs(got - wanted).max() <= 1, (got, wanted)


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_what_onnx_runtime_quantises(form: str, packed: Packer, tmp_path: Path) -> None:
    from onnxruntime import quantization

    model, shape = blocks()
    Path(tmp_path, "float.onnx").write_bytes(model)
    pictures = [RNG.uniform(-1, 1, shape).astype(np.float32) for _ in range(4)]

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        left = iter([{"given": picture} for picture in pictures])

        def get_next(self) -> Any:
            return next(self.left, None)

    quantization.quantize_static(
        str(tmp_path / "float.onnx"),
        str(tmp_path / "bytes.onnx"),
        Reader(),
        quant_format=quantization.QuantFormat[form],
        per_channel=True,
        reduce_range=True,
    )
    model = Path(tmp_path, "bytes.onnx").read_bytes()
    c = written(model)
    assert "run_int8_conv" in c
    assert "run_float_conv" not in c
    library = Library(packed(model).output)
    for picture in pictures:
        wanted = runtime(model, picture)
        got = np.frombuffer(library(picture.tobytes()), np.float32).reshape(wanted.shape)
        assert np.allclose(got, wanted, atol=1.01 / 256), abs(got - wanted).max() * 256


def test_operators_without_bytes_are_computed_in_floats(packed: Packer) -> None:
    net = Scales((1, 6), np.int8)
    x = net.through(net("HardSigmoid", net.through("given", 0.01)), 1 / 255)
    model = net.data(net("Softmax", x, axis=1), (1, 6))
    assert "run_float_hard_sigmoid" in written(model)
    inputs = RNG.uniform(-1, 1, (1, 6)).astype(np.float32)
    got = np.frombuffer(Library(packed(model).output)(inputs.tobytes()), np.float32)
    assert np.allclose(got, runtime(model, inputs).reshape(-1), atol=1 / 255)


def test_what_is_not_packed_is_named() -> None:
    net = Net((1, 8))
    wide = net("QuantizeLinear", "given", net.weights(8, low=0.5), net.put(np.zeros(8, np.int8)))
    x, scale, zero = net("DynamicQuantizeLinear", "given", outputs=3)
    x = net("DequantizeLinear", x, scale, zero)
    x = net("Add", x, net("DequantizeLinear", wide, net.put(np.float32(1))))
    with pytest.raises(BadModel) as raised:
        prepare(ModelSource(Encoding.ONNX, (net.data(x, (1, 8)),)), "m.onnx")
    lines = [line.split(" (")[0].strip() for line in raised.value.message.splitlines()[1:]]
    assert lines == [
        "QuantizeLinear of a computed tensor with a scale for each channel",
        "DynamicQuantizeLinear",
        "DequantizeLinear with a scale that is computed",
    ]
