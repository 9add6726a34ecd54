"""Whether a tensor that says N,C,H,W holds the bytes of a picture as H×W×C.

Hosts before mid-2024 told their engine so, and guests that were built for them send pictures in
that order. Neither shape nor type shows it; the picture does, where the host knows it.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

from wasmlrun.support.tensor import DType, Tensor

_CODES = {DType.F32: "<f4", DType.F16: "<f2", DType.F64: "<f8", DType.U8: "u1", DType.I8: "i1"}
_ALIKE = 0.5
"""The least correlation at which the tensor is taken to be the picture."""
_CLEARLY = 0.2
"""By how much one order has to be more like the picture than the other."""


def is_interleaved(tensor: Tensor, picture: Image.Image) -> bool:
    """Compare a tensor with the picture, in mode RGB, in both orders.

    False as well where neither order, or both, look like the picture: of a plain grey nothing
    can be told.
    """
    if len(tensor.shape) != 4 or tensor.shape[:2] != (1, 3) or tensor.dtype not in _CODES:
        return False
    _, _, height, width = tensor.shape
    if not 0 < height * width <= len(tensor.data):
        return False
    sent = np.frombuffer(tensor.data, _CODES[tensor.dtype]).astype(np.float64)
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(small, dtype=np.float64)
    # the channels may be in either order
    both = (pixels, pixels[:, :, ::-1])
    interleaved = max(_likeness(sent, p.ravel()) for p in both)
    planar = max(_likeness(sent, p.transpose(2, 0, 1).ravel()) for p in both)
    return interleaved >= _ALIKE and interleaved - planar >= _CLEARLY


def _likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Their correlation, from -1 to 1; 0 where one of them is constant or no number."""
    if one.size != other.size:
        return 0.0
    a, b = one - one.mean(), other - other.mean()
    size = float(np.sqrt((a * a).sum() * (b * b).sum()))
    return float((a * b).sum()) / size if np.isfinite(size) and size > 0 else 0.0
