"""Puts the adapter beside a guest component, so that byte lists reach the host as strings.

`adapter.wat` says why. The result is one component: the guest's own declarations of types and
imports, copied, since the guest needs them again; the adapter; the unchanged guest; and the
guest's export. The imports of wasi:nn stay among the declarations, unused.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from wasmtime import wat2wasm

from wasmlrun.binary.component import (
    MAGIC,
    Named,
    NotUnderstood,
    Outline,
    SectionId,
    Sort,
    leb,
    section,
    sections_of,
    string,
)

HOST = "wasmlrun:nn/host"
"""The interface that a composed component imports in place of wasi:nn."""

VERSIONS = ("0.2.0-rc-2024-06-25", "0.2.0-rc-2024-08-19", "0.2.0-rc-2024-10-28")
_INTERFACES = ("errors", "tensor", "graph", "inference")
_BY_CALLS = b"[method]graph-execution-context.set-input"


def provides(name: str) -> bool:
    """Whether the adapter stands in for an import of this name."""
    version = name.partition("@")[2]
    return (
        name.startswith("wasi:nn/") and interface_name(name) in _INTERFACES and version in VERSIONS
    )


def interface_name(name: str) -> str:
    """The interface in the full name of one of wasi:nn's: `graph` of `wasi:nn/graph@VERSION`."""
    return name.removeprefix("wasi:nn/").partition("@")[0]


@cache
def identity() -> str:
    """A digest of the adapter: what was composed with another is not the same."""
    return hashlib.sha256(_text().encode()).hexdigest()[:16]


def compose(code: bytes, outline: Outline, export: Named) -> bytes:
    """The guest `code` with the adapter beside it, exporting what the guest exports.

    Raises:
        NotUnderstood: the guest's declarations cannot be copied.
    """
    adapter = bytes(wat2wasm(_text()))
    counts = outline.counts
    types, components, instances = (
        counts[sort] for sort in (Sort.TYPE, Sort.COMPONENT, Sort.INSTANCE)
    )
    replaced = [item for item in outline.imports if provides(item.name)]
    # in the order in which they are defined below
    host, standing_in, first_alias = instances, instances + 1, instances + 2
    guest = first_alias + len(replaced)
    given = {item.name: first_alias + i for i, item in enumerate(replaced)}
    parts = [
        MAGIC,
        *(section(s.id, s.content) for s in outline.prefix),
        section(SectionId.COMPONENT, adapter),
        section(SectionId.COMPONENT, code),
        # the type of the host's functions, as the adapter declares it
        section(SectionId.TYPE, next(sections_of(adapter, SectionId.TYPE))),
        section(
            SectionId.IMPORT,
            leb(1) + b"\0" + string(HOST) + bytes([Sort.INSTANCE]) + leb(types),
        ),
        section(SectionId.INSTANCE, leb(1) + _instantiate(components, [("host", host)])),
    ]
    if replaced:
        aliases = b"".join(
            _alias(standing_in, _exported_as(item.name, outline)) for item in replaced
        )
        parts.append(section(SectionId.ALIAS, leb(len(replaced)) + aliases))
    arguments = []
    for item in outline.imports:
        if item.sort is not Sort.INSTANCE:
            raise NotUnderstood(f"import {item.name} is no interface")
        arguments.append((item.name, given.get(item.name, item.index)))
    parts += [
        section(SectionId.INSTANCE, leb(1) + _instantiate(components + 1, arguments)),
        section(SectionId.ALIAS, leb(1) + _alias(guest, export.name)),
        section(
            SectionId.EXPORT,
            leb(1) + b"\0" + string(export.name) + bytes([Sort.INSTANCE]) + leb(guest + 1) + b"\0",
        ),
    ]
    return b"".join(parts)


def _exported_as(name: str, outline: Outline) -> str:
    """The name under which the adapter has an interface of wasi:nn."""
    interface = interface_name(name)
    if interface != "inference":
        return interface
    # told by the functions, not by the version: drafts of one version had either
    by_calls = any(_BY_CALLS in s.content for s in outline.prefix)
    return "inference-by-calls" if by_calls else "inference-by-list"


def _instantiate(component: int, arguments: list[tuple[str, int]]) -> bytes:
    given = b"".join(
        string(name) + bytes([Sort.INSTANCE]) + leb(index) for name, index in arguments
    )
    return b"\0" + leb(component) + leb(len(arguments)) + given


def _alias(instance: int, name: str) -> bytes:
    return bytes([Sort.INSTANCE, 0]) + leb(instance) + string(name)


@cache
def _text() -> str:
    return resources.files("wasmlrun.wasi_nn").joinpath("adapter.wat").read_text(encoding="utf-8")
