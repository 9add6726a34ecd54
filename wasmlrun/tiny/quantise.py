"""Fixed-point factors and tables of 8-bit operations, as TensorFlow Lite computes them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from wasmlrun.tiny.graph import Array, Quant, Value

LOW, HIGH = -128, 127
SUM_BITS = 20
"""Bits that summands get before they have one scale; `int8_elementwise.h` has the same."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """What brings 32-bit sums to 8 bits: factors of each channel, or one of all."""

    multipliers: tuple[int, ...]
    shifts: tuple[int, ...]
    zero: int
    low: int
    high: int
    largest: int = 1 << 31
    """No sum is further from zero."""

    @property
    def per_channel(self) -> bool:
        """Whether channels have factors of their own."""
        return len(self.multipliers) > 1

    @property
    def grows(self) -> bool:
        """Whether any shift is to the left."""
        return any(shift > 0 for shift in self.shifts)

    @property
    def doubles(self) -> bool:
        """Whether the kernels may compute in doubles; `int8_scale.h` says why."""
        return self.largest < 1 << 30


def factor(real: float) -> tuple[int, int]:
    """A positive real number as multiplier ÷ 2^31 × 2^shift."""
    if real <= 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = round_half_away(fraction * (1 << 31))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift < -30:
        return 0, 0
    if shift > 30:
        raise ValueError(f"a factor of {real} is too large")
    return multiplier, shift


def round_half_away(value: float) -> int:
    """Rounded as C's `round` does: halves away from zero."""
    return math.floor(value + 0.5) if value >= 0 else -math.floor(-value + 0.5)


def scaled_by(value: int, multiplier: int, shift: int) -> int:
    """The kernels' multiplication of one number."""
    if shift > 0:
        value <<= shift
    high = (value * multiplier + (1 << 30)) >> 31
    right = max(-shift, 0)
    if not right:
        return high
    return (high + (1 << (right - 1)) - (high < 0)) >> right


def one_of(quant: Quant) -> tuple[float, int]:
    """Scale and zero point of a tensor that has one."""
    return quant.scale[0], quant.zero[0]


def bounds(activation: str, quant: Quant) -> tuple[int, int]:
    """What an activation allows, as stored numbers."""
    scale, zero = one_of(quant)
    reals = {"relu": (0.0, None), "relu6": (0.0, 6.0), "relu_n1_to_1": (-1.0, 1.0)}
    low_real, high_real = reals.get(activation, (None, None))
    low, high = LOW, HIGH
    if low_real is not None:
        low = max(low, zero + _stored(low_real, scale))
    if high_real is not None:
        high = min(high, zero + _stored(high_real, scale))
    return low, high


def _stored(real: float, scale: float) -> int:
    return round_half_away(float(np.float32(real) / np.float32(scale)))


def of_products(
    source: Value, weights: Value, out: Value, activation: str, largest: int, *, in_floats: bool
) -> Scaling:
    """For sums of input × weight. `in_floats`: the product of the scales is rounded to a float,
    as older kernels do.
    """
    in_scale, _ = one_of(source.scaling)
    out_scale, out_zero = one_of(out.scaling)
    factors = []
    for scale in weights.scaling.scale:
        product = in_scale * scale
        if in_floats:
            product = float(np.float32(in_scale) * np.float32(scale))
        factors.append(factor(product / out_scale))
    multipliers, shifts = zip(*factors, strict=True)
    return Scaling(multipliers, shifts, out_zero, *bounds(activation, out.scaling), largest)


def largest_sum(weights: Array, bias: Array, source: Quant) -> int:
    """The farthest from zero that a sum of input × weight can be: [outputs, depth] weights without
    their zero point.
    """
    zero = one_of(source)[1]
    wide = weights.astype(np.int64)
    low, high = wide * (LOW - zero), wide * (HIGH - zero)
    most = np.maximum(low, high).sum(axis=1) + bias
    least = np.minimum(low, high).sum(axis=1) + bias
    return int(max(abs(most).max(), abs(least).max()))


def of_real(real: float, out: Quant, activation: str = "none") -> Scaling:
    """For sums that have to be multiplied with one real number."""
    multiplier, shift = factor(real)
    return Scaling((multiplier,), (shift,), one_of(out)[1], *bounds(activation, out))


def of_mean(source: Quant, out: Quant, count: int) -> Scaling:
    """For sums of `count` numbers, to be divided by it: the multiplier is divided and cut off."""
    multiplier, shift = factor(source.scale[0] / out.scale[0])
    more = min(count.bit_length() - 1, 32, 31 + shift)
    return Scaling(((multiplier << more) // count,), (shift - more,), out.zero[0], LOW, HIGH)


def softmax_table(scale: float, beta: float) -> Array:
    """exp(scale × beta × (x − 255)) for x from 0 to 255."""
    steps = np.float32(-scale * beta) * np.arange(255, -1, -1, dtype=np.float32)
    return np.exp(steps.astype(np.float32)).astype(np.float32)


def requantise_table(source: Quant, out: Quant) -> Array:
    """From one quantisation to another."""
    (in_scale, in_zero), (out_scale, out_zero) = one_of(source), one_of(out)
    multiplier, shift = factor(in_scale / out_scale)
    return _table(lambda stored: scaled_by(stored - in_zero, multiplier, shift) + out_zero)


def unary_table(function: Callable[[float], float], source: Quant, out: Quant) -> Array:
    """Any function of a real number."""
    (in_scale, in_zero), (out_scale, out_zero) = one_of(source), one_of(out)

    def stored(value: int) -> int:
        return round_half_away(function((value - in_zero) * in_scale) / out_scale) + out_zero

    return _table(stored)


def _table(stored: Callable[[int], int]) -> Array:
    values = [min(max(stored(value), LOW), HIGH) for value in range(LOW, HIGH + 1)]
    return np.array(values, np.int8)


def real_function(kind: str, alpha: float, beta: float) -> Callable[[float], float]:
    """The function of a `unary` node. Raises KeyError for one that there is no table for."""

    def sigmoid(x: float) -> float:
        return 1 / (1 + math.exp(-x)) if x > -700 else 0.0

    return {
        "relu": lambda x: max(x, 0.0),
        "relu6": lambda x: min(max(x, 0.0), 6.0),
        "relu_n1_to_1": lambda x: min(max(x, -1.0), 1.0),
        "sigmoid": sigmoid,
        "tanh": math.tanh,
        "exp": lambda x: math.exp(min(x, 700.0)),
        "elu": lambda x: math.expm1(x) if x < 0 else x,
        "leaky_relu": lambda x: alpha * x if x < 0 else x,
        "hard_swish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
        "abs": abs,
        "neg": lambda x: -x,
        "square": lambda x: x * x,
    }[kind]
