"""Writers of protobuf and FlatBuffers, as small as hand-made models need them."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Value = int | float | str | bytes


def varint(number: int) -> bytes:
    """A protobuf varint; negative numbers as 64-bit two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while True:
        number, low = number >> 7, number & 127
        out.append(low | (128 if number else 0))
        if not number:
            return bytes(out)


def field(number: int, value: Value) -> bytes:
    """One protobuf field: varint, fixed32 float, or length-delimited."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


@dataclass(frozen=True)
class Scalar:
    """A FlatBuffers scalar with its struct format."""

    format: str
    value: float


@dataclass(frozen=True)
class Numbers:
    """A FlatBuffers vector of scalars."""

    format: str
    values: Sequence[float]


@dataclass(frozen=True)
class Table:
    """A FlatBuffers table: field number to value."""

    fields: Mapping[int, Node]


Node = Scalar | Numbers | Table | str | Sequence["Node"]


def flatbuffer(root: Table, identifier: bytes) -> bytes:
    """A finished buffer. Parents come before their children, so that every offset is positive."""
    out = bytearray(struct.pack("<I4s", 0, identifier))
    struct.pack_into("<I", out, 0, _write(out, root))
    return bytes(out)


def _write(out: bytearray, node: Node) -> int:
    if isinstance(node, Table):
        return _write_table(out, node)
    if isinstance(node, str):
        _align(out, 4)
        at = len(out)
        out += struct.pack("<I", len(node)) + node.encode() + b"\0"
        return at
    if isinstance(node, Numbers):
        data = struct.pack(f"<{len(node.values)}{node.format}", *node.values)
        while (len(out) + 4) % 16:
            out.append(0)
        at = len(out)
        out += struct.pack("<I", len(node.values)) + data
        return at
    assert not isinstance(node, Scalar)
    _align(out, 4)
    at = len(out)
    out += struct.pack("<I", len(node)) + bytes(4 * len(node))
    for number, child in enumerate(node):
        _point(out, at + 4 + 4 * number, child)
    return at


def _write_table(out: bytearray, table: Table) -> int:
    slots = max(table.fields, default=-1) + 1
    places: dict[int, int] = {}
    inline = bytearray(4)
    for number, node in table.fields.items():
        data = struct.pack("<" + node.format, node.value) if isinstance(node, Scalar) else bytes(4)
        while len(inline) % len(data):
            inline.append(0)
        places[number] = len(inline)
        inline += data
    _align(out, 8)
    if (len(out) + 4 + 2 * slots) % 8:  # the table that follows is aligned to 8
        out += bytes(8 - (len(out) + 4 + 2 * slots) % 8)
    vtable = len(out)
    out += struct.pack("<HH", 4 + 2 * slots, len(inline))
    out += struct.pack(f"<{slots}H", *(places.get(n, 0) for n in range(slots)))
    at = len(out)
    out += inline
    struct.pack_into("<i", out, at, at - vtable)
    for number, node in table.fields.items():
        if not isinstance(node, Scalar):
            _point(out, at + places[number], node)
    return at


def _point(out: bytearray, at: int, node: Node) -> None:
    struct.pack_into("<I", out, at, _write(out, node) - at)


def _align(out: bytearray, size: int) -> None:
    out += bytes(-len(out) % size)
