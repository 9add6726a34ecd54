"""Constants in the order in which the kernels read them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wasmlrun.tiny.graph import Array

BLOCK = 8
"""Output channels that a matrix kernel computes at once; `common.h` has the same."""
ALIGNMENT = 16


@dataclass(slots=True)
class Constants:
    """The bytes of all constants, one after another."""

    content: bytearray = field(default_factory=bytearray)
    _known: dict[bytes, int] = field(default_factory=dict)

    def add(self, array: Array) -> int:
        """Take numbers in; where they begin. Equal ones are kept once."""
        data = np.ascontiguousarray(array).tobytes()
        if data in self._known:
            return self._known[data]
        self.content += bytes(-len(self.content) % ALIGNMENT)
        at = len(self.content)
        self.content += data
        self._known[data] = at
        return at


def int8_matrix(weights: Array) -> Array:
    """[outputs, rows of the window, depth] as [block][pair of inputs][8 outputs][2]."""
    padded = _padded(_padded(weights, 0, BLOCK), 2, 2)
    padded = padded.reshape(len(padded), -1)
    outputs, depth = padded.shape
    blocks = padded.reshape(outputs // BLOCK, BLOCK, depth // 2, 2)
    return np.ascontiguousarray(blocks.transpose(0, 2, 1, 3))


def int8_taps(weights: Array) -> Array:
    """[taps, channels] as [block of 8 channels][tap][8]."""
    padded = _padded(weights, 1, BLOCK)
    taps, channels = padded.shape
    return np.ascontiguousarray(padded.reshape(taps, channels // BLOCK, BLOCK).transpose(1, 0, 2))


def float_matrix(weights: Array) -> Array:
    """[outputs, depth] as [block][input][8 outputs]."""
    padded = _padded(weights, 0, BLOCK)
    outputs, depth = padded.shape
    return np.ascontiguousarray(padded.reshape(outputs // BLOCK, BLOCK, depth).transpose(0, 2, 1))


def of_channels(values: Array) -> Array:
    """One number a channel, filled up to whole blocks."""
    return _padded(values, 0, BLOCK)


def as_halves(values: Array) -> Array | None:
    """The same numbers in 16 bits, None where that would change one."""
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all() or not np.array_equal(halves.astype(np.float32), values):
        return None
    return halves


def _padded(values: Array, axis: int, multiple: int) -> Array:
    missing = -values.shape[axis] % multiple
    if not missing:
        return values
    pads = [(0, missing if n == axis else 0) for n in range(values.ndim)]
    return np.pad(values, pads)
