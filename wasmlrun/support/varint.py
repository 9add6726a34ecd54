"""Numbers in seven bits a byte, the lowest first: LEB128 of WebAssembly, varints of protobuf."""

from __future__ import annotations


def varint(data: bytes | memoryview, at: int, bits: int) -> tuple[int, int]:
    """The unsigned number at a position, and the position after it.

    Raises:
        IndexError: the bytes end before the number does.
        ValueError: it takes more bytes than one of so many bits can.
    """
    value = 0
    for shift in range(0, bits, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
