"""The outline of a WebAssembly component: sections, imports and exports, read from its bytes.

Only what stands in front of the first definition is understood: the types and imports that
every toolchain puts there, and the names of exports. Nothing is validated besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

from wasmlrun.support.varint import varint

MAGIC = b"\0asm\x0d\0\x01\0"


class SectionId(IntEnum):
    """Numbers of a component's sections that matter here."""

    CORE_MODULE = 1
    CORE_TYPE = 3
    COMPONENT = 4
    INSTANCE = 5
    ALIAS = 6
    TYPE = 7
    IMPORT = 10
    EXPORT = 11


class Sort(IntEnum):
    """What an import, an export or an alias is."""

    CORE = 0
    FUNC = 1
    VALUE = 2
    TYPE = 3
    COMPONENT = 4
    INSTANCE = 5


class NotUnderstood(ValueError):
    """The bytes are no component, or of a form that is not known here."""


@dataclass(frozen=True, slots=True)
class Section:
    """One top-level section: its number and its content."""

    id: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Named:
    """An import or an export: `index` counts within its sort, in the order of definition."""

    name: str
    sort: Sort
    index: int


@dataclass(frozen=True)
class Outline:
    """A component's sections, in order, and what follows from them."""

    sections: tuple[Section, ...]

    @cached_property
    def prefix(self) -> tuple[Section, ...]:
        """The sections up to the last import that declare something: types and imports.

        Raises:
            NotUnderstood: an import comes after definitions that it may depend on.
        """
        last = max((i for i, s in enumerate(self.sections) if s.id == SectionId.IMPORT), default=-1)
        kept = []
        for section in self.sections[: last + 1]:
            if section.id in (
                SectionId.CORE_TYPE,
                SectionId.ALIAS,
                SectionId.TYPE,
                SectionId.IMPORT,
            ):
                kept.append(section)
            elif section.id not in (0, SectionId.CORE_MODULE, SectionId.COMPONENT):
                raise NotUnderstood("imports follow definitions")
        return tuple(kept)

    @cached_property
    def imports(self) -> tuple[Named, ...]:
        """In order. Raises NotUnderstood."""
        return self._counted[0]

    @property
    def counts(self) -> dict[Sort, int]:
        """How many items of each sort `prefix` defines. Raises NotUnderstood."""
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[tuple[Named, ...], dict[Sort, int]]:
        counts = dict.fromkeys(Sort, 0)
        imports = []
        for section in self.prefix:
            reader = Reader(section.content)
            if section.id == SectionId.TYPE:
                counts[Sort.TYPE] += reader.u32()
            elif section.id == SectionId.ALIAS:
                for _ in range(reader.u32()):
                    counts[_alias(reader)] += 1
            elif section.id == SectionId.IMPORT:
                for _ in range(reader.u32()):
                    name, sort = _name(reader), _extern(reader)
                    imports.append(Named(name, sort, counts[sort]))
                    counts[sort] += 1
        return tuple(imports), counts

    @cached_property
    def exports(self) -> tuple[Named, ...]:
        """In order. Raises NotUnderstood."""
        found = []
        for section in self.sections:
            if section.id != SectionId.EXPORT:
                continue
            reader = Reader(section.content)
            for _ in range(reader.u32()):
                name, sort = _name(reader), _sort(reader)
                found.append(Named(name, sort, reader.u32()))
                if reader.byte():
                    _extern(reader)
        return tuple(found)


def read(code: bytes) -> Outline:
    """The outline of a component. Raises NotUnderstood."""
    if not code.startswith(MAGIC):
        raise NotUnderstood("no component")
    reader = Reader(code, len(MAGIC))
    sections = []
    while not reader.at_end:
        number = reader.byte()
        sections.append(Section(number, reader.take(reader.u32())))
    return Outline(tuple(sections))


class Reader:
    """Reads numbers and strings; whatever is cut short raises NotUnderstood."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self._data = data
        self._at = at

    @property
    def at_end(self) -> bool:
        """Whether all was read."""
        return self._at >= len(self._data)

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises NotUnderstood when there are fewer."""
        taken = self._data[self._at : self._at + size]
        if len(taken) < size:
            raise NotUnderstood("cut short")
        self._at += size
        return taken

    def byte(self) -> int:
        """The next byte, as a number."""
        return self.take(1)[0]

    def u32(self) -> int:
        """An unsigned number of 32 bits in LEB128."""
        return self._number(32)

    def u64(self) -> int:
        """An unsigned number of 64 bits in LEB128."""
        return self._number(64)

    def _number(self, bits: int) -> int:
        try:
            value, self._at = varint(self._data, self._at, bits)
        except IndexError:
            raise NotUnderstood("cut short") from None
        except ValueError as e:
            raise NotUnderstood(str(e)) from e
        return value

    def string(self) -> str:
        """A string in UTF-8."""
        try:
            return self.take(self.u32()).decode()
        except UnicodeDecodeError:
            raise NotUnderstood("a name is not UTF-8") from None


def leb(number: int) -> bytes:
    """An unsigned number in LEB128."""
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def string(text: str) -> bytes:
    """A string as the binary format has it."""
    data = text.encode()
    return leb(len(data)) + data


def section(number: int, content: bytes) -> bytes:
    """A section as the binary format has it."""
    return bytes([number]) + leb(len(content)) + content


def _name(reader: Reader) -> str:
    form = reader.byte()
    # 0 and 1 were plain names and names of interfaces; later forms add attributes
    if form > 1:
        raise NotUnderstood(f"names of form {form}")
    return reader.string()


def _sort(reader: Reader) -> Sort:
    number = reader.byte()
    if number > Sort.INSTANCE:
        raise NotUnderstood(f"sort {number}")
    if number == Sort.CORE:
        reader.byte()
    return Sort(number)


def _extern(reader: Reader) -> Sort:
    """The type of an import; it has no more than one number after its kind."""
    sort = _sort(reader)
    if sort is Sort.VALUE or (sort is Sort.TYPE and reader.byte() == 1):
        if sort is Sort.VALUE:
            raise NotUnderstood("values")
        return sort
    reader.u32()
    return sort


def _alias(reader: Reader) -> Sort:
    sort, target = _sort(reader), reader.byte()
    if target > 2:
        raise NotUnderstood(f"aliases of form {target}")
    reader.u32()
    if target == 2:
        reader.u32()
    else:
        if sort is Sort.CORE:
            raise NotUnderstood("aliases of definitions")
        reader.string()
    return sort


def sections_of(code: bytes, number: int) -> Iterator[bytes]:
    """The contents of a component's sections of one kind. Raises NotUnderstood."""
    return (s.content for s in read(code).sections if s.id == number)
