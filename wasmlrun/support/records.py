"""Frozen records that cost nothing to define.

`dataclasses` writes and compiles source text for each class, which takes a millisecond, and
imports `inspect`, which takes twenty. A warm run defines some twenty records and is over in two
hundred milliseconds; so what it needs are records of this kind. To type checkers they are
frozen dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, TypeVar, dataclass_transform

_REQUIRED: Any = object()

NOTHING: Mapping[Any, Any] = MappingProxyType({})
"""The default of fields that are mappings."""


@dataclass_transform(frozen_default=True)
class Record:
    """Subclasses name their fields as annotations, with defaults that nobody changes."""

    _fields: ClassVar[dict[str, Any]] = {}
    """Name -> default of each field, in order."""

    def __init_subclass__(cls) -> None:
        own = {name: cls.__dict__.get(name, _REQUIRED) for name in cls.__annotations__}
        cls._fields = {**cls._fields, **own}

    def __init__(self, *positional: Any, **named: Any) -> None:
        fields = self._fields
        given = dict(zip(fields, positional, strict=False))
        values = {**fields, **given, **named}
        if len(positional) > len(fields) or len(values) > len(fields) or given.keys() & named:
            raise TypeError(f"{type(self).__name__} takes once each: {', '.join(fields)}")
        missing = [name for name, value in values.items() if value is _REQUIRED]
        if missing:
            raise TypeError(f"{type(self).__name__} needs {', '.join(missing)}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} cannot be deleted")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _values(self) == _values(other)

    def __hash__(self) -> int:
        return hash((type(self), *_values(self).values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in _values(self).items())
        return f"{type(self).__name__}({shown})"


# after the class: a bound that is a string would be compiled, the first text of a warm run to be
R = TypeVar("R", bound=Record)


def replace(record: R, **changes: Any) -> R:
    """A record like this one but for some fields."""
    return type(record)(**{**_values(record), **changes})


def defaults(kind: type[Record]) -> dict[str, Any]:
    """Name -> default of each field of a kind of record that has one, in order."""
    return {name: value for name, value in kind._fields.items() if value is not _REQUIRED}


def _values(record: Record) -> dict[str, Any]:
    return {name: record.__dict__[name] for name in record._fields}
