"""Compiled WebAssembly from the cache: machine code for this engine, made once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import wasmtime
from wasmtime import Engine, WasmtimeError

from wasmlrun.cache import Cache, key_of


class Compiled(Protocol):
    """A wasmtime Module or Component."""

    def serialize(self) -> bytearray:
        """The machine code, for this engine only."""


T = TypeVar("T", bound=Compiled)

KIND = "workers"


def compiled(
    cache: Cache,
    engine: Engine,
    configuration: str,
    code: bytes,
    what: str,
    build: Callable[[Engine, bytes], T],
    restore: Callable[[Engine, str], T],
) -> T:
    """The module or component of `code`, restored from the cache or built and kept there.

    `configuration` names the engine's settings: machine code made under others does not fit.
    Machine code is restored only from what this user's own cache holds with a digest that is
    right; anything else is built again.

    Raises WasmtimeError when `code` is no valid WebAssembly.
    """
    library = _library()
    key = key_of(
        "wasm-1", build.__qualname__, configuration, library, hashlib.sha256(code).hexdigest()
    )
    hit = cache.get(KIND, key)
    if hit is not None:
        try:
            # from the file: it is mapped, not copied, and its digest was right just now
            return restore(engine, str(hit.path))
        except WasmtimeError:  # made by another wasmtime or for another processor
            cache.drop(KIND, key)
    made = build(engine, code)
    cache.put(KIND, key, what, made.serialize())
    return made


def _library() -> str:
    """What tells this wasmtime from any other: its shared library's size and time."""
    folder = Path(wasmtime.__file__).parent
    libraries = sorted(folder.glob("*/*wasmtime.*"))
    about = libraries[0].stat() if libraries else folder.stat()
    return f"{about.st_size}-{about.st_mtime_ns}"
