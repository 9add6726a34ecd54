"""A guest's memory, as a host function sees it: every read and write is checked.

This file is the only one that touches a core module's memory.
"""

from __future__ import annotations

import ctypes
import struct

from wasmlrun.wasmtime_c.linker import Caller


class OutsideMemory(Exception):
    """A guest named bytes that are not in its memory, or has no memory; says which."""


class GuestMemory:
    """Checked reads and writes of a guest's linear memory, valid during one host call."""

    def __init__(self, caller: Caller) -> None:
        """Raises OutsideMemory when the guest has none."""
        memory = caller.memory()
        if memory is None:
            raise OutsideMemory('the guest exports no memory named "memory"')
        self._base, self._size = memory

    def read(self, pointer: int, length: int, what: str) -> bytes:
        """A copy of `length` bytes. Raises OutsideMemory when they are not all in memory."""
        self.check(pointer, length, what)
        return ctypes.string_at(self._base + pointer, length) if length else b""

    def write(self, pointer: int, data: bytes | bytearray | memoryview, what: str) -> None:
        """Write `data`. Raises OutsideMemory when it would not all be in memory."""
        self.check(pointer, len(data), what)
        if data:
            ctypes.memmove(self._base + pointer, bytes(data), len(data))

    def read_u32s(self, pointer: int, count: int, what: str) -> tuple[int, ...]:
        """`count` little-endian u32 numbers."""
        return struct.unpack(f"<{count}I", self.read(pointer, 4 * count, what))

    def write_u32(self, pointer: int, value: int, what: str) -> None:
        """Write one number of 32 bits, little-endian."""
        self.write(pointer, struct.pack("<I", value), what)

    def check_u32(self, pointer: int, what: str) -> None:
        """Make sure before the work that its result can be written."""
        self.check(pointer, 4, what)

    def check(self, pointer: int, length: int, what: str) -> None:
        """Make sure that a range is in memory. Raises OutsideMemory when it is not."""
        if pointer + length > self._size:
            raise OutsideMemory(
                f"{what}: {length} bytes at {pointer} are outside the guest's memory "
                f"of {self._size} bytes"
            )
