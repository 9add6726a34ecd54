"""Tables of a flatbuffer, read in place.

Numbers that point outside the file raise ValueError, so that a damaged file is told as such.
"""

from __future__ import annotations

import struct
from typing import Any


class Table:
    """A table: a position whose vtable tells where each field is."""

    def __init__(self, data: bytes, position: int) -> None:
        """Raises ValueError: the position is outside the file."""
        self._data = data
        self._position = position
        self._vtable = position - self._number("<i", position)
        self._fields = (self._number("<H", self._vtable) - 4) // 2

    @classmethod
    def root(cls, data: bytes) -> Table:
        """The first table of a file."""
        if len(data) < 8:
            raise ValueError("the file is too short")
        return cls(data, struct.unpack_from("<I", data)[0])

    def int8(self, field: int, default: int = 0) -> int:
        """A byte, as enumerations are."""
        return int(self._field("<b", field, default))

    def uint8(self, field: int) -> int:
        """A byte, or a truth value."""
        return int(self._field("<B", field, 0))

    def int32(self, field: int, default: int = 0) -> int:
        """A number of four bytes with sign."""
        return int(self._field("<i", field, default))

    def uint32(self, field: int) -> int:
        """A number of four bytes."""
        return int(self._field("<I", field, 0))

    def uint64(self, field: int) -> int:
        """A number of eight bytes."""
        return int(self._field("<Q", field, 0))

    def float32(self, field: int) -> float:
        """A float of four bytes."""
        return float(self._field("<f", field, 0.0))

    def table(self, field: int) -> Table | None:
        """The table that a field points to."""
        at = self._at(field)
        return None if at is None else self._table(at)

    def tables(self, field: int) -> list[Table]:
        """The tables of a vector."""
        start, length = self._vector(field, 4)
        return [self._table(start + 4 * index) for index in range(length)]

    def numbers(self, field: int, code: str) -> tuple[Any, ...]:
        """A vector of numbers, `code` as in `struct`."""
        start, length = self._vector(field, struct.calcsize("<" + code))
        return struct.unpack_from(f"<{length}{code}", self._data, start)

    def data(self, field: int) -> bytes:
        """A vector of bytes."""
        start, length = self._vector(field, 1)
        return self._data[start : start + length]

    def text(self, field: int) -> str:
        """The string of a field."""
        return self.data(field).decode("utf-8", errors="replace")

    def _table(self, at: int) -> Table:
        return Table(self._data, at + self._number("<I", at))

    def _vector(self, field: int, size: int) -> tuple[int, int]:
        at = self._at(field)
        if at is None:
            return 0, 0
        start = at + self._number("<I", at)
        length = self._number("<I", start)
        if start + 4 + length * size > len(self._data):
            raise ValueError("a vector reaches beyond the file")
        return start + 4, length

    def _field(self, code: str, field: int, default: float) -> float:
        at = self._at(field)
        return default if at is None else self._number(code, at)

    def _at(self, field: int) -> int | None:
        if field >= self._fields:
            return None
        offset = self._number("<H", self._vtable + 4 + 2 * field)
        return self._position + offset if offset else None

    def _number(self, code: str, position: int) -> int:
        if position < 0 or position + struct.calcsize(code) > len(self._data):
            raise ValueError("a position is outside the file")
        value: int = struct.unpack_from(code, self._data, position)[0]
        return value
