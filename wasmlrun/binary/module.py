"""What a WebAssembly file says of itself: imports, exports, memories, producers.

Read from the bytes, without compiling and without an engine, so that it works for any file of
any size at once, and for files that could not be compiled here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from wasmlrun.binary import component
from wasmlrun.binary.component import NotUnderstood, Reader, SectionId

CORE = b"\0asm\x01\0\0\0"
PAGE = 65536
MAX_DEPTH = 32

_KINDS = ("function", "table", "memory", "global", "tag")
_CUSTOM, _TYPE, _IMPORT, _MEMORY, _EXPORT = 0, 1, 2, 5, 7


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a core module; `arity` is how many arguments a function takes."""

    module: str
    name: str
    kind: str
    arity: int | None = None

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True, slots=True)
class Memory:
    """A linear memory: bytes at the start and at most, the latter None without a limit."""

    minimum: int
    maximum: int | None
    shared: bool = False
    imported: bool = False


@dataclass
class CoreModule:
    """The facts of one core module."""

    imports: list[Import] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    memories: list[Memory] = field(default_factory=list)
    producers: dict[str, list[str]] = field(default_factory=dict)
    """As toolchains write them: `language`, `processed-by`, `sdk` → names with versions."""


@dataclass
class ComponentFile:
    """The facts of one component; memories and producers also of the modules within."""

    imports: list[str]
    exports: list[str]
    modules: int = 0
    memories: list[Memory] = field(default_factory=list)
    producers: dict[str, list[str]] = field(default_factory=dict)


def read(code: bytes) -> CoreModule | ComponentFile:
    """The facts of a WebAssembly file. Raises NotUnderstood."""
    if code.startswith(CORE):
        return _core(code)
    if code.startswith(component.MAGIC):
        return _component(code)
    raise NotUnderstood("no WebAssembly")


def _core(code: bytes) -> CoreModule:
    found = CoreModule()
    arities: list[int | None] = []
    for number, content in _sections(code):
        reader = Reader(content)
        if number == _CUSTOM:
            _add_producers(reader, found.producers)
        elif number == _TYPE:
            arities = _arities(reader)
        elif number == _IMPORT:
            for _ in range(reader.u32()):
                _import(reader, arities, found)
        elif number == _MEMORY:
            found.memories += [_memory(reader) for _ in range(reader.u32())]
        elif number == _EXPORT:
            for _ in range(reader.u32()):
                found.exports.append(reader.string())
                reader.byte()
                reader.u32()
    return found


def _component(code: bytes, depth: int = 0) -> ComponentFile:
    if depth > MAX_DEPTH:
        raise NotUnderstood("components within components without end")
    outline = component.read(code)
    found = ComponentFile(
        [item.name for item in outline.imports], [item.name for item in outline.exports]
    )
    for section in outline.sections:
        if section.id == _CUSTOM:
            _add_producers(Reader(section.content), found.producers)
        inner: CoreModule | ComponentFile | None = None
        if section.id == SectionId.CORE_MODULE:
            inner = _core(section.content)
            found.modules += 1
        elif section.id == SectionId.COMPONENT:
            inner = _component(section.content, depth + 1)
            found.modules += inner.modules
        if inner is not None:
            # what one module within lends to another is no memory of its own
            found.memories += [m for m in inner.memories if not m.imported]
            _merge(found.producers, inner.producers)
    return found


def _sections(code: bytes) -> Iterator[tuple[int, bytes]]:
    reader = Reader(code, len(CORE))
    while not reader.at_end:
        number = reader.byte()
        yield number, reader.take(reader.u32())


def _arities(reader: Reader) -> list[int | None]:
    """Arguments of each function type; nothing where types of a later kind are found."""
    found: list[int | None] = []
    for _ in range(reader.u32()):
        if reader.byte() != 0x60:
            return []
        parameters = reader.u32()
        for _ in range(parameters):
            _value_type(reader)
        for _ in range(reader.u32()):
            _value_type(reader)
        found.append(parameters)
    return found


def _import(reader: Reader, arities: list[int | None], found: CoreModule) -> None:
    module, name, kind = reader.string(), reader.string(), reader.byte()
    arity = None
    if kind == 0:
        number = reader.u32()
        arity = arities[number] if number < len(arities) else None
    elif kind == 1:
        _value_type(reader)
        _limits(reader)
    elif kind == 2:
        memory = _memory(reader)
        found.memories.append(Memory(memory.minimum, memory.maximum, memory.shared, imported=True))
    elif kind == 3:
        _value_type(reader)
        reader.byte()
    elif kind == 4:
        reader.byte()
        reader.u32()
    else:
        raise NotUnderstood(f"an import of kind {kind}")
    found.imports.append(Import(module, name, _KINDS[kind], arity))


def _value_type(reader: Reader) -> None:
    # references to a heap type have one number more
    if reader.byte() in (0x63, 0x64):
        reader.u64()


def _memory(reader: Reader) -> Memory:
    minimum, maximum, shared = _limits(reader)
    return Memory(minimum * PAGE, None if maximum is None else maximum * PAGE, shared)


def _limits(reader: Reader) -> tuple[int, int | None, bool]:
    flags = reader.byte()
    if flags > 7:
        raise NotUnderstood(f"limits of form {flags}")
    minimum = reader.u64()
    return minimum, reader.u64() if flags & 1 else None, bool(flags & 2)


def _add_producers(reader: Reader, producers: dict[str, list[str]]) -> None:
    """The custom section `producers`; others are none of our business, and may be malformed."""
    try:
        if reader.string() != "producers":
            return
        found: dict[str, list[str]] = {}
        for _ in range(reader.u32()):
            kind = reader.string()
            values = [(reader.string(), reader.string()) for _ in range(reader.u32())]
            found[kind] = [f"{name} {version}".strip() for name, version in values]
    except NotUnderstood:
        return
    _merge(producers, found)


def _merge(into: dict[str, list[str]], more: dict[str, list[str]]) -> None:
    for kind, names in more.items():
        known = into.setdefault(kind, [])
        known += [name for name in names if name not in known]
