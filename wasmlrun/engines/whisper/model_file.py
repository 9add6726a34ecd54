"""A look at a model's file before whisper.cpp reads it.

It takes a file that is cut off for a whole one, and one without weights for a test.
"""

from __future__ import annotations

import math
import struct

from wasmlrun.engines.protocol import EngineError

_SIZES = 11
_MOST = 1 << 20
"""More than any of the sizes in front."""
_BLOCKS = {
    **{0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34)},
    **{10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210)},
}
"""ggml's types of numbers: how many are in a block, and its bytes."""


def check(data: bytes) -> None:
    """Raise EngineError unless every part of the file is whole, and weights are among them."""
    try:
        whole = _walk(data)
    except (struct.error, KeyError):
        whole = False
    if not whole:
        raise EngineError("whisper.cpp does not read the file: it is damaged, or too new")


def _walk(data: bytes) -> bool:
    sizes = struct.unpack_from(f"<{_SIZES}i", data, 4)
    if not all(0 < size <= _MOST for size in sizes):
        return False
    at = 4 + 4 * _SIZES
    bands, frequencies = struct.unpack_from("<2i", data, at)
    if not (0 < bands <= _MOST and 0 < frequencies <= _MOST):
        return False
    at += 8 + 4 * bands * frequencies
    (words,) = struct.unpack_from("<i", data, at)
    at += 4
    for _ in range(words):
        at += 4 + struct.unpack_from("<I", data, at)[0]
    arrays = 0
    while at < len(data):
        rank, name, kind = struct.unpack_from("<3i", data, at)
        if not (0 < rank <= 4 and 0 < name <= 256):
            return False
        count = math.prod(struct.unpack_from(f"<{rank}i", data, at + 12))
        block, size = _BLOCKS[kind]
        if count <= 0 or count % block:
            return False
        at += 12 + 4 * rank + name + count // block * size
        arrays += 1
    return arrays > 0 and at == len(data)
