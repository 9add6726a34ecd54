"""Inputs of a model that are always the same, as a manifest says them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.arrays import tensor_of
from wasmlrun.support.errors import BadManifest
from wasmlrun.support.limits import GIB
from wasmlrun.support.tensor import Tensor, describe


def constant(value: Any, port: Port, where: str) -> Tensor:
    """A number for every element, a list of all, or a table of some (`{ 7 = 1.0 }`), the others
    being 0. A size that is free is 1.

    Raises:
        BadManifest: it is none of these, or does not fit the input.
    """
    shape = tuple(max(n, 1) for n in port.shape)
    count, key = math.prod(shape), f"{where}: infer.constants.{port.name}"
    if count * port.dtype.size > GIB:
        raise BadManifest(f"{key}: {describe(port.shape, port.dtype)} is too large for a constant")
    if isinstance(value, dict):
        array = np.zeros(count)
        for index, number in value.items():
            if not index.isdecimal() or int(index) >= count or not _is_number(number):
                raise BadManifest(
                    f"{key}: {index} = {number!r} is no number for one of {count} elements"
                )
            array[int(index)] = number
    elif _is_number(value):
        array = np.full(count, float(value))
    elif isinstance(value, list) and all(map(_is_number, value)):
        if len(value) != count:
            raise BadManifest(f"{key}: {len(value)} numbers for {describe(port.shape, port.dtype)}")
        array = np.array(value, dtype=float)
    else:
        raise BadManifest(f"{key} must be a number, a list of them, or a table of some by index")
    return tensor_of(array.reshape(shape), port.dtype)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
