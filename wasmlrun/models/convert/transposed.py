"""MediaPipe's transposed convolution with a bias, said in TensorFlow Lite's own operators.

Some of MediaPipe's models have an operator that its own runtime alone knows:
`Convolution2DTransposeBias`, with the inputs picture, weights and bias. Two that every engine knows
compute the same, `TRANSPOSE_CONV` and then `ADD`.

Offsets in a flatbuffer point forward. So what is new or changed is written in front, and points
into the old file, which follows as it was.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

_CUSTOM, _NAME = 32, b"Convolution2DTransposeBias"
_ADD, _TRANSPOSE_CONV = 0, 67  # BuiltinOperator
_ADD_OPTIONS, _TRANSPOSE_CONV_OPTIONS = 11, 49  # BuiltinOptions
_PADDING = {1: 0, 2: 1}  # from the operator's SAME and VALID to the schema's
_INT32 = 2
_ALIGNED = 16
"""What a file's buffers are aligned to: what follows is moved by a multiple of it."""


def plain(data: bytes) -> bytes:
    """The model with these operators replaced; without any, ValueError. So for a damaged file."""
    try:
        return _replaced(_Old(data))
    except (struct.error, IndexError, KeyError) as e:
        raise ValueError("the file is no TensorFlow Lite model, or damaged") from e


class _Old:
    """A flatbuffer's fields by their numbers; positions are bytes from the file's start."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.root = self.number("<I", 0)

    def number(self, code: str, at: int) -> int:
        """A number. Raises struct.error beyond the file."""
        found: int = struct.unpack_from(code, self.data, at)[0]
        return found

    def at(self, table: int, field: int) -> int | None:
        """Where a field is, None where the table has none."""
        vtable = table - self.number("<i", table)
        if 4 + 2 * field >= self.number("<H", vtable):
            return None
        offset = self.number("<H", vtable + 4 + 2 * field)
        return table + offset if offset else None

    def value(self, table: int, field: int, code: str) -> int:
        """A number, or 0."""
        at = self.at(table, field)
        return 0 if at is None else self.number(code, at)

    def target(self, table: int, field: int) -> int:
        """What a field points to. Raises KeyError where there is none."""
        at = self.at(table, field)
        if at is None:
            raise KeyError(field)
        return at + self.number("<I", at)

    def tables(self, table: int, field: int) -> list[int]:
        """The tables of a vector."""
        vector = self.target(table, field)
        places = range(vector + 4, vector + 4 + 4 * self.number("<I", vector), 4)
        return [place + self.number("<I", place) for place in places]

    def numbers(self, table: int, field: int) -> list[int]:
        """A vector of whole numbers of four bytes."""
        vector = self.target(table, field)
        count = self.number("<I", vector)
        return list(struct.unpack_from(f"<{count}i", self.data, vector + 4))

    def bytes(self, table: int, field: int) -> bytes:
        """A vector of bytes, or a text; none where there is no field."""
        if self.at(table, field) is None:
            return b""
        vector = self.target(table, field)
        return self.data[vector + 4 : vector + 4 + self.number("<I", vector)]


_Vector = list["int | _Table"]
"""Of tables: positions in the old file, or new ones."""


class _Table:
    """A new table: numbers, each in four bytes, and what others of its fields point to."""

    def __init__(
        self,
        numbers: Mapping[int, int] | None = None,
        points: Mapping[int, int | _Table | _Vector | bytes] | None = None,
    ) -> None:
        """What a field points to is a position in the old file, a table, a vector of tables, or
        the bytes of a vector with its length in front.
        """
        self.numbers = numbers or {}
        self.points = points or {}


def _words(*numbers: int) -> bytes:
    return struct.pack(f"<{len(numbers) + 1}i", len(numbers), *numbers)


def _text(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode() + b"\0"


class _Front:
    """What is written in front of the old file. Nothing points back."""

    def __init__(self, root: _Table) -> None:
        self.data = bytearray(b"\0\0\0\0TFL3")
        self._old: list[tuple[int, int]] = []
        self._point(0, self._table(root))

    def before(self, old: bytes) -> bytes:
        """The whole file: this, and behind it the old one."""
        self._fill(_ALIGNED)
        for place, target in self._old:
            self._point(place, len(self.data) + target)
        return bytes(self.data) + old

    def _table(self, table: _Table) -> int:
        fields = sorted([*table.numbers, *table.points])
        slots = {field: 4 + 4 * number for number, field in enumerate(fields)}
        count = max(fields, default=-1) + 1
        vtable = len(self.data)
        self.data += struct.pack("<HH", 4 + 2 * count, 4 + 4 * len(fields))
        self.data += struct.pack(f"<{count}H", *(slots.get(field, 0) for field in range(count)))
        self._fill(4)
        start = len(self.data)
        self.data += struct.pack("<i", start - vtable) + bytes(4 * len(fields))
        for field, value in table.numbers.items():
            struct.pack_into("<i", self.data, start + slots[field], value)
        for field, target in table.points.items():
            self._write(start + slots[field], target)
        return start

    def _write(self, place: int, target: int | _Table | _Vector | bytes) -> None:
        """Write what a field points to, behind it."""
        if isinstance(target, int):
            self._old.append((place, target))
        elif isinstance(target, _Table):
            self._point(place, self._table(target))
        elif isinstance(target, bytes):
            self._fill(_ALIGNED)
            self.data += bytes(_ALIGNED - 4)  # the content behind its length is aligned
            self._point(place, len(self.data))
            self.data += target
            self._fill(4)
        else:
            start = len(self.data)
            self._point(place, start)
            self.data += struct.pack("<I", len(target)) + bytes(4 * len(target))
            for number, one in enumerate(target):
                self._write(start + 4 + 4 * number, one)

    def _point(self, place: int, target: int) -> None:
        struct.pack_into("<I", self.data, place, target - place)

    def _fill(self, multiple: int) -> None:
        self.data += bytes(-len(self.data) % multiple)


def _replaced(old: _Old) -> bytes:
    model = old.root
    codes: _Vector = list(old.tables(model, 1))
    custom = [
        index
        for index, code in enumerate(old.tables(model, 1))
        if old.value(code, 0, "<b") == _CUSTOM and old.bytes(code, 1) == _NAME
    ]
    if len(custom) != 1:
        raise ValueError(f"the model has no operator {_NAME.decode()}")
    codes[custom[0]] = _Table({0: _TRANSPOSE_CONV, 2: 1, 3: _TRANSPOSE_CONV})
    codes.append(_Table({0: _ADD, 2: 1, 3: _ADD}))
    (graph,) = old.tables(model, 2)
    buffers: _Vector = list(old.tables(model, 4))
    tensors: _Vector = list(old.tables(graph, 0))
    operators: _Vector = []
    for operator in old.tables(graph, 3):
        if old.value(operator, 0, "<I") != custom[0]:
            operators.append(operator)
            continue
        picture, weights, bias = old.numbers(operator, 1)
        (out,) = old.numbers(operator, 2)
        given = old.tables(graph, 0)[out]
        shape = old.numbers(given, 0)
        size = len(tensors)
        tensors.append(
            _Table({1: _INT32, 2: len(buffers)}, {0: _words(len(shape)), 3: _text("size")})
        )
        # buffer 0 is that of all tensors without one
        tensors.append(
            _Table(
                {1: old.value(given, 1, "<b"), 2: 0}, {0: _words(*shape), 3: _text("without_bias")}
            )
        )
        content = struct.pack(f"<{len(shape)}i", *shape)
        buffers.append(_Table({}, {0: struct.pack("<I", len(content)) + content}))
        options = _stride(old.bytes(operator, 5))
        operators += _as_two(
            custom[0], len(codes) - 1, options, (picture, weights, bias), out, size
        )
    return _Front(
        _Table(
            {0: old.value(model, 0, "<I")},
            {
                1: codes,
                2: [
                    _Table(
                        {},
                        {
                            0: tensors,
                            1: old.target(graph, 1),
                            2: old.target(graph, 2),
                            3: operators,
                        },
                    )
                ],
                4: buffers,
            },
        )
    ).before(old.data)


def _stride(options: bytes) -> tuple[int, int, int]:
    """Padding of the schema, and the stride in width and height."""
    padding, width, height = struct.unpack("<3i", options[:12])
    return _PADDING[padding], width, height


def _as_two(
    convolution: int,
    addition: int,
    options: tuple[int, int, int],
    inputs: Sequence[int],
    out: int,
    size: int,
) -> list[_Table]:
    """The two operators; `size` is the tensor of the output's size, the next one the sum before
    the bias.
    """
    picture, weights, bias = inputs
    made = _Table(dict(enumerate(options)))
    return [
        _Table(
            {0: convolution, 3: _TRANSPOSE_CONV_OPTIONS},
            {1: _words(size, weights, picture), 2: _words(size + 1), 4: made},
        ),
        _Table(
            {0: addition, 3: _ADD_OPTIONS},
            {1: _words(size + 1, bias), 2: _words(out), 4: _Table()},
        ),
    ]
