"""Tensors as numpy keeps them in files: the numbers are taken as they are."""

from __future__ import annotations

import io

import numpy as np

from wasmlrun.engines.protocol import Port
from wasmlrun.inference.arrays import Array, tensor_of
from wasmlrun.inference.inputs.files import read_input
from wasmlrun.inference.kind import Given, InputKind, Wanted
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadFile
from wasmlrun.support.tensor import Tensor, describe

SUFFIXES = (".npy", ".npz")


class Tensors(Options):
    """`[infer.input]` of kind tensor has no further keys."""


def read(name: str, _: Tensors, wanted: Wanted) -> Given:
    """One array is the first input; an archive has arrays by the inputs' names. Raises BadFile."""
    found = load(name)
    names = [port.name for port in wanted.ports]
    tensors = {}
    for key, array in found.items():
        if key and key not in names:
            raise BadFile(f"{name}: the model has no input {key}", f"it has: {', '.join(names)}")
        number = names.index(key) if key else 0
        tensors[number] = fitted(array, wanted.ports[number], name)
    return Given(tensors)


def load(name: str) -> dict[str, Array]:
    """The arrays of a file, by name; that of an `.npy` has none.

    Raises:
        BadFile: it cannot be read, or holds something else than numbers.
    """
    data = read_input(name)
    try:
        found = np.load(io.BytesIO(data), allow_pickle=False)
        if isinstance(found, np.ndarray):
            return {"": found}
        return {key: found[key] for key in found.files}
    except (ValueError, OSError, EOFError, KeyError, SyntaxError, TypeError) as e:
        raise BadFile(
            f"input {name} is no array of numbers: {str(e).splitlines()[0] if str(e) else e!r}",
            "numpy.save writes one: numpy.save('x.npy', array)",
        ) from e


def fitted(array: Array, port: Port, where: str) -> Tensor:
    """The array as an input: its type, if no number changes, and a batch of one if need be.

    Raises:
        BadFile: its shape or its numbers are not what the model takes.
    """
    if array.dtype.kind not in "biuf":
        raise BadFile(f"{where}: an array of {array.dtype} holds no numbers")
    while array.ndim < len(port.shape):
        array = array[None]
    fits = not port.declared or (
        array.ndim == len(port.shape)
        and all(want in (-1, have) for want, have in zip(port.shape, array.shape, strict=True))
    )
    if not fits:
        raise BadFile(
            f"{where}: input {port.name} is {describe(port.shape, port.dtype)}, "
            f"the array is {list(array.shape)} {array.dtype}"
        )
    return tensor_of(array, port.dtype)


KIND = InputKind(read, Tensors)
