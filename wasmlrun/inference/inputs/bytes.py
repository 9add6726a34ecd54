"""The beginning and the end of any file, as numbers from 0 to 255."""

from __future__ import annotations

import numpy as np

from wasmlrun.inference.arrays import tensor_of
from wasmlrun.inference.inputs.files import read_input
from wasmlrun.inference.kind import Given, InputKind, Wanted
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadModel

_BLOCK = 4096
"""Bytes at each end that white space is taken from."""


class Bytes(Options):
    """`[infer.input]` of kind bytes."""

    begin: int = 1024
    """How many bytes of the beginning."""
    end: int = 0
    """How many of the end."""
    padding: int = 0
    """What stands where the file has no more bytes."""
    strip: bool = False
    """Whether white space at the beginning and the end is left out."""


def read(name: str, options: Bytes, wanted: Wanted) -> Given:
    """The bytes as the model's first input, [1, begin + end]. Raises BadFile, BadModel."""
    data = read_input(name)
    first, last = data[:_BLOCK], data[-_BLOCK:]
    if options.strip:
        first, last = first.lstrip(), last.rstrip()
    head, tail = first[: options.begin], last[len(last) - min(options.end, len(last)) :]
    numbers = np.full(options.begin + options.end, options.padding, np.int64)
    numbers[: len(head)] = np.frombuffer(head, np.uint8)
    if options.end:
        numbers[len(numbers) - len(tail) :] = np.frombuffer(tail, np.uint8)
    port = wanted.ports[0]
    if len(port.shape) != 2 or port.shape[1] not in (-1, len(numbers)):
        raise BadModel(
            f"input {port.name} of the model is {list(port.shape)}, not [1, {len(numbers)}] bytes",
            "infer.input.begin and infer.input.end say how many there are",
        )
    return Given({0: tensor_of(numbers[None], port.dtype)})


KIND = InputKind(read, Bytes)
