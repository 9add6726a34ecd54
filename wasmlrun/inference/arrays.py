"""Tensors as numpy's arrays, and back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from wasmlrun.support.errors import BadModel
from wasmlrun.support.tensor import DType, Tensor

Array: TypeAlias = np.ndarray[Any, Any]
_DTYPES: dict[DType, np.dtype[Any]] = {
    DType.F16: np.dtype("<f2"),
    DType.F32: np.dtype("<f4"),
    DType.F64: np.dtype("<f8"),
    DType.U8: np.dtype("u1"),
    DType.I8: np.dtype("i1"),
    DType.I32: np.dtype("<i4"),
    DType.I64: np.dtype("<i8"),
    DType.BOOL: np.dtype("?"),
}


def array_of(tensor: Tensor) -> Array:
    """The tensor's numbers in its shape; bf16, which numpy does not have, as f32."""
    data = bytes(tensor.data)
    if tensor.dtype is DType.BF16:
        words = np.frombuffer(data, "<u2").astype("<u4") << 16
        wide: Array = words.view("<f4").reshape(tensor.shape)
        return wide
    return np.frombuffer(data, _DTYPES[tensor.dtype]).reshape(tensor.shape)


def tensor_of(array: Array, dtype: DType) -> Tensor:
    """The array's numbers as a tensor of this type.

    Raises:
        BadModel: the type is bf16, which numpy does not have.
    """
    if dtype not in _DTYPES:
        raise BadModel(f"the model takes {dtype.value} numbers, which cannot be given here")
    data = np.ascontiguousarray(array.astype(_DTYPES[dtype], copy=False))
    return Tensor(tuple(array.shape), dtype, data.tobytes())


def one(outputs: Sequence[tuple[str, Array]], index: int, kind: str) -> Array:
    """One output by its number. Raises BadModel where the model has fewer."""
    if not 0 <= index < len(outputs):
        raise BadModel(
            f"{kind} wants output {index}, and the model has {len(outputs)}",
            "--set output.index=N chooses another",
        )
    return outputs[index][1]
