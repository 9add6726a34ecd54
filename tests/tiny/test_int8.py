"""8-bit operations against LiteRT's reference kernels, with vectors and without."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest
from kit.needs import needs
from kit.packed import Library
from tiny.conftest import Packer

needs("ai_edge_litert", "ai-edge-litert")

from kit.packed import litert  # noqa: E402
from kit.tflite_by_hand import FLOAT, INT8, INT32, ByHand  # noqa: E402

SAME, VALID = (0, INT8, 0), (0, INT8, 1)
NONE, RELU, RELU6 = 0, 1, 3
Model = tuple[bytes, tuple[int, ...], str]


def convolution(
    channels: int,
    outputs: int,
    kernel: int,
    stride: int,
    *,
    side: int = 9,
    activation: int = RELU6,
    per_channel: bool = True,
    dilation: int = 1,
    scale: float = 0.02,
    batch: int = 1,
    largest: int = 127,
) -> Callable[[], Model]:
    """A convolution of 8 bits with sign, SAME padding."""

    def make() -> Model:
        rng = np.random.default_rng(outputs)
        b, out_side = ByHand(), -(-side // stride)
        given = b.tensor([batch, side, side, channels], "i8", 0.05, -7)
        scales = (
            [float(np.float32(s)) for s in rng.uniform(0.002, 0.02, outputs)]
            if per_channel
            else 0.01
        )
        weights = b.tensor(
            *([outputs, kernel, kernel, channels], "i8", scales),
            data=rng.integers(-largest, largest + 1, (outputs, kernel, kernel, channels)),
        )
        bias = b.tensor([outputs], "i32", data=rng.integers(-16 * largest, 16 * largest, outputs))
        answer = b.tensor([batch, out_side, out_side, outputs], "i8", scale, -128)
        options = [SAME, (1, INT32, stride), (2, INT32, stride), (3, INT8, activation)]
        options += [(4, INT32, dilation), (5, INT32, dilation)]
        b.add("CONV_2D", [given, weights, bias], answer, *options)
        return b.data(given, answer), (batch, side, side, channels), "i8"

    return make


def old_convolution() -> Model:
    """Bytes without sign, weights with a zero point."""
    rng, b = np.random.default_rng(1), ByHand()
    given = b.tensor([1, 6, 6, 5], "u8", 0.03, 120)
    weights = b.tensor([11, 3, 3, 5], "u8", 0.004, 131, rng.integers(0, 256, (11, 3, 3, 5)))
    bias = b.tensor([11], "i32", data=rng.integers(-500, 500, 11))
    answer = b.tensor([1, 4, 4, 11], "u8", 0.025, 3)
    options = [VALID, (1, INT32, 1), (2, INT32, 1), (3, INT8, RELU)]
    b.add("CONV_2D", [given, weights, bias], answer, *options)
    return b.data(given, answer), (1, 6, 6, 5), "u8"


def depthwise(
    channels: int, kernel: int, stride: int, dtype: str = "i8", multiplier: int = 1
) -> Callable[[], Model]:
    """A depthwise convolution, SAME padding."""

    def make() -> Model:
        rng, b, side = np.random.default_rng(channels), ByHand(), 8
        outputs = channels * multiplier
        unsigned = dtype == "u8"
        low, high = (0, 256) if unsigned else (-127, 128)
        given = b.tensor([1, side, side, channels], dtype, 0.05, 117 if unsigned else -11)
        data = rng.integers(low, high, (1, kernel, kernel, outputs))
        scales = [float(np.float32(s)) for s in rng.uniform(0.004, 0.03, outputs)]
        weights = b.tensor(
            *([1, kernel, kernel, outputs], dtype, 0.02 if unsigned else scales),
            *(126 if unsigned else 0, data, 3),
        )
        bias = b.tensor([outputs], "i32", data=rng.integers(-900, 900, outputs))
        out_side = -(-side // stride)
        zero = 5 if unsigned else -3
        answer = b.tensor([1, out_side, out_side, outputs], dtype, 0.06, zero)
        options = [SAME, (1, INT32, stride), (2, INT32, stride), (3, INT32, multiplier)]
        b.add("DEPTHWISE_CONV_2D", [given, weights, bias], answer, *options, (4, INT8, NONE))
        return b.data(given, answer), (1, side, side, channels), dtype

    return make


def dense() -> Model:
    rng, b = np.random.default_rng(5), ByHand()
    given = b.tensor([3, 37], "i8", 0.05, 4)
    weights = b.tensor([13, 37], "i8", 0.01, data=rng.integers(-127, 128, (13, 37)))
    bias = b.tensor([13], "i32", data=rng.integers(-900, 900, 13))
    answer = b.tensor([3, 13], "i8", 0.1, 2)
    b.add("FULLY_CONNECTED", [given, weights, bias], answer, (0, INT8, NONE))
    return b.data(given, answer), (3, 37), "i8"


def binary(code: str, shape: tuple[int, ...], *, constant: bool = False) -> Callable[[], Model]:
    """Two operands: the input, and the input through a table, or a constant."""

    def make() -> Model:
        rng, b = np.random.default_rng(2), ByHand()
        given = b.tensor([1, 5, 4, 11], "i8", 0.04, 10)
        if constant:
            other = b.tensor(shape, "i8", 0.07, -20, rng.integers(-128, 128, shape))
        else:
            other = b.tensor([1, 5, 4, 11], "i8", 0.03, -128)
            b.add("RELU6", [given], other)
        answer = b.tensor([1, 5, 4, 11], "i8", 0.08, -5)
        b.add(code, [given, other], answer, (0, INT8, NONE))
        return b.data(given, answer), (1, 5, 4, 11), "i8"

    return make


def pool(code: str, kernel: int, stride: int, dtype: str = "i8") -> Callable[[], Model]:
    """A pool with padding."""

    def make() -> Model:
        b, side = ByHand(), 7
        zero = -4 if dtype == "i8" else 124
        given = b.tensor([1, side, side, 10], dtype, 0.05, zero)
        out_side = -(-side // stride)
        answer = b.tensor([1, out_side, out_side, 10], dtype, 0.05, zero)
        options = [SAME, (1, INT32, stride), (2, INT32, stride)]
        options += [(3, INT32, kernel), (4, INT32, kernel), (5, INT8, RELU)]
        b.add(code, [given], answer, *options)
        return b.data(given, answer), (1, side, side, 10), dtype

    return make


def mean() -> Model:
    b = ByHand()
    given = b.tensor([1, 7, 7, 19], "i8", 0.05, -4)
    axes = b.tensor([2], "i32", data=[1, 2])
    answer = b.tensor([1, 19], "i8", 0.031, 9)
    b.add("MEAN", [given, axes], answer, (0, INT8, 0))
    return b.data(given, answer), (1, 7, 7, 19), "i8"


def softmax() -> Model:
    b = ByHand()
    given = b.tensor([2, 101], "i8", 0.11, 30)
    answer = b.tensor([2, 101], "i8", 1 / 256, -128)
    b.add("SOFTMAX", [given], answer, (0, FLOAT, 1.0))
    return b.data(given, answer), (2, 101), "i8"


def unary(code: str, scale: float, zero: int) -> Callable[[], Model]:
    """A function of each number."""

    def make() -> Model:
        b = ByHand()
        given = b.tensor([1, 300], "i8", 0.05, 3)
        answer = b.tensor([1, 300], "i8", scale, zero)
        b.add(code, [given], answer)
        return b.data(given, answer), (1, 300), "i8"

    return make


def moved() -> Model:
    """Transposing, slicing backwards, padding, joining with another scale, another shape."""
    b = ByHand()
    given = b.tensor([1, 4, 6, 3], "i8", 0.05, 3)
    order = b.tensor([4], "i32", data=[0, 2, 1, 3])
    turned = b.add("TRANSPOSE", [given, order], b.tensor([1, 6, 4, 3], "i8", 0.05, 3))
    begin = b.tensor([4], "i32", data=[0, 5, 0, 0])
    end = b.tensor([4], "i32", data=[1, 0, 4, 2])
    step = b.tensor([4], "i32", data=[1, -2, 1, 1])
    options = [(0, INT32, 0), (1, INT32, 0), (2, INT32, 0), (3, INT32, 0), (4, INT32, 0)]
    sliced = b.tensor([1, 3, 4, 2], "i8", 0.05, 3)
    b.add("STRIDED_SLICE", [turned, begin, end, step], sliced, *options)
    pads = b.tensor([4, 2], "i32", data=[[0, 0], [1, 2], [0, 0], [0, 1]])
    padded = b.add("PAD", [sliced, pads], b.tensor([1, 6, 4, 3], "i8", 0.05, 3))
    joined = b.tensor([1, 6, 4, 6], "i8", 0.05, 3)
    b.add("CONCATENATION", [padded, turned], joined, (0, INT32, -1))
    shape = b.tensor([2], "i32", data=[1, 144])
    answer = b.add("RESHAPE", [joined, shape], b.tensor([1, 144], "i8", 0.05, 3))
    return b.data(given, answer), (1, 4, 6, 3), "i8"


CASES: dict[str, Callable[[], Model]] = {
    "1×1": convolution(16, 24, 1, 1),
    "3×3, three channels": convolution(3, 8, 3, 2, activation=RELU),
    "3×3, a scale for all": convolution(16, 9, 3, 1, per_channel=False, activation=NONE),
    "5×5, few pixels": convolution(7, 17, 5, 3, side=4),
    "dilated": convolution(8, 8, 3, 1, dilation=2, activation=NONE),
    "a batch": convolution(4, 8, 3, 2, batch=2),
    "factors above one": convolution(3, 8, 1, 1, scale=0.0003, activation=NONE, largest=1),
    "without sign": old_convolution,
    "depthwise 3×3": depthwise(24, 3, 1),
    "depthwise 5×5, stride 2": depthwise(13, 5, 2),
    "depthwise without sign": depthwise(16, 3, 2, "u8"),
    "depthwise of one channel": depthwise(1, 3, 1, "i8", 8),
    "fully connected": dense,
    "sum": binary("ADD", ()),
    "sum with a row": binary("ADD", (11,), constant=True),
    "difference": binary("SUB", ()),
    "product": binary("MUL", ()),
    "product with a map": binary("MUL", (1, 5, 4, 1), constant=True),
    "average pool": pool("AVERAGE_POOL_2D", 3, 2),
    "average pool of an even window": pool("AVERAGE_POOL_2D", 4, 1),
    "average pool without sign": pool("AVERAGE_POOL_2D", 4, 1, "u8"),
    "max pool": pool("MAX_POOL_2D", 2, 2),
    "mean": mean,
    "softmax": softmax,
    "sigmoid": unary("LOGISTIC", 1 / 256, -128),
    "tanh": unary("TANH", 1 / 128, 0),
    "hard swish": unary("HARD_SWISH", 0.04, -20),
    "requantise": unary("QUANTIZE", 0.03, -9),
    "moving about": moved,
}
# the reference computes these in fixed point, the table has the nearest number
NEAR = {"sigmoid", "tanh", "hard swish"}


@pytest.mark.parametrize("case", CASES)
def test_as_the_reference_kernels(case: str, packed: Packer) -> None:
    model, shape, dtype = CASES[case]()
    rng = np.random.default_rng(zlib.crc32(case.encode()))
    kind = np.uint8 if dtype == "u8" else np.int8
    bounds = np.iinfo(kind)
    inputs = rng.integers(bounds.min, int(bounds.max) + 1, shape).astype(kind)
    wanted = litert(model, inputs)
    assert len(np.unique(wanted)) > 5  # an answer that something can be seen from
    for simd in ("simd", "none"):
        made = packed(model, simd=simd)
        got = np.frombuffer(Library(made.output)(inputs.tobytes()), wanted.dtype)
        apart = np.abs(got.reshape(wanted.shape).astype(int) - wanted.astype(int))
        assert apart.max() <= (1 if case in NEAR else 0), simd
