"""numpy's arrays, written shortly."""

from __future__ import annotations

from typing import Any

import numpy as np


def f32(values: Any) -> np.ndarray[Any, Any]:
    """An array of f32."""
    return np.array(values, np.float32)


def whole(values: Any, dtype: str = "int64") -> np.ndarray[Any, Any]:
    """An array of whole numbers."""
    return np.array(values, dtype)
