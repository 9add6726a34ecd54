"""Bytes as C libraries see them."""

from __future__ import annotations

import ctypes


def address_of(
    data: bytes | bytearray | memoryview,
) -> ctypes.c_char_p | ctypes.Array[ctypes.c_char]:
    """The address of the bytes, in an object that keeps them alive; for libraries that only read.

    A view that cannot be written to, which ctypes does not take, is copied.
    """
    if isinstance(data, bytes):
        return ctypes.c_char_p(data)
    if isinstance(data, memoryview) and data.readonly:
        return ctypes.c_char_p(bytes(data))
    return (ctypes.c_char * len(data)).from_buffer(data)
