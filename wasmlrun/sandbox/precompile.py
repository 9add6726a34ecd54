"""Compiled WebAssembly from the cache: machine code for this engine, made once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from wasmlrun.support.cache import Cache, key_of
from wasmlrun.support.digest import sha256
from wasmlrun.wasmtime_c.capi import library_path


class Compiled(Protocol):
    """A module or a component."""

    def serialize(self) -> bytes | bytearray:
        """The machine code, for one engine's settings only."""


T = TypeVar("T", bound=Compiled)

KIND = "workers"


def compiled(
    cache: Cache,
    about: str,
    code: bytes,
    what: str,
    build: Callable[[], T],
    restore: Callable[[bytes], T | None],
) -> T:
    """The module or component of `code`, restored from the cache or built and kept there.

    `about` names the kind and the engine's settings: machine code made under others does not
    fit. `restore` gives None for what was made by another wasmtime or for another processor.
    Machine code is restored only from what this user's own cache holds with a digest that is
    right; anything else is built again.
    """
    key = key_of("wasm-2", about, library_identity(), sha256(code))
    hit = cache.get(KIND, key)
    if hit is not None:
        # the bytes that were hashed, not the file: it may be another by now
        restored = restore(hit.data)
        if restored is not None:
            return restored
        cache.drop(KIND, key)
    made = build()
    cache.put(KIND, key, what, made.serialize())
    return made


def library_identity() -> str:
    """What tells this wasmtime from any other: its shared library's size and time."""
    about = library_path().stat()
    return f"{about.st_size}-{about.st_mtime_ns}"
