"""Tensors as they cross the sandbox: shape, element type, bytes in row-major order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

from wasmlrun.support.records import Record


class DType(Enum):
    """Element types a model may have; the value is the name used in manifests and messages."""

    F16 = "f16"
    F32 = "f32"
    F64 = "f64"
    BF16 = "bf16"
    U8 = "u8"
    I8 = "i8"
    I32 = "i32"
    I64 = "i64"
    BOOL = "bool"

    @property
    def size(self) -> int:
        """How many bytes an element has."""
        return _SIZES[self]


_SIZES = {
    DType.F16: 2,
    DType.F32: 4,
    DType.F64: 8,
    DType.BF16: 2,
    DType.U8: 1,
    DType.I8: 1,
    DType.I32: 4,
    DType.I64: 8,
    DType.BOOL: 1,
}


class Tensor(Record):
    """`data` holds exactly `product(shape) × dtype.size` bytes, little-endian, row-major."""

    shape: tuple[int, ...]
    dtype: DType
    data: bytes | bytearray | memoryview

    def __str__(self) -> str:
        return f"{describe(self.shape, self.dtype)} ({len(self.data)} bytes)"


def byte_size(shape: Sequence[int], dtype: DType) -> int:
    """How many bytes a tensor of this shape and type takes."""
    return math.prod(shape) * dtype.size


def describe(shape: Sequence[int], dtype: DType) -> str:
    """A shape and type as people write them, `[1, 224, 224, 3] u8`; `?` is any size."""
    return f"[{', '.join('?' if n < 0 else str(n) for n in shape)}] {dtype.value}"
