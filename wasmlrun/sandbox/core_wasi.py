"""What WASI gives an instance of a core module: a Setup in wasmtime's own form."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_char_p
from functools import lru_cache
from typing import Any

from wasmlrun.manifest.mounts import opened
from wasmlrun.sandbox.setup import Lent, Setup, Sink
from wasmlrun.wasmtime_c.capi import Bytes, Refused, Write, check, library
from wasmlrun.wasmtime_c.engine import Store
from wasmlrun.wasmtime_c.registry import Registry

EIO = 5


def give(store: Store, setup: Setup, lent: Lent | None) -> None:
    """Let the store's instance have what the setup says. Raises Refused.

    The setup's streams are lent: they come back when the store was closed. Without `lent` it has
    neither standard output nor error; somebody else looks after them.
    """
    lib = library()
    config = lib.wasi_config_new()
    try:
        _fill(lib, config, setup, lent)
    except BaseException:
        lib.wasi_config_delete(config)
        raise
    # takes ownership of the configuration
    check(lib.wasmtime_context_set_wasi(store.context, config))


def _fill(lib: Any, config: int, setup: Setup, lent: Lent | None) -> None:
    arguments = _strings(setup.arguments)
    names = _strings(tuple(name for name, _ in setup.environ))
    values = _strings(tuple(value for _, value in setup.environ))
    if not lib.wasi_config_set_argv(config, len(arguments), arguments):
        raise Refused("an argument is no text")
    if not lib.wasi_config_set_env(config, len(names), names, values):
        raise Refused("a variable is no text")
    if setup.stdin is None:
        lib.wasi_config_inherit_stdin(config)
    else:
        data = Bytes()
        lib.wasm_byte_vec_new(byref(data), len(setup.stdin), setup.stdin)
        # takes ownership of the bytes
        lib.wasi_config_set_stdin_bytes(config, byref(data))
    if lent is not None:
        _lend(lib, config, setup, lent)
    for mount in setup.mounts:
        try:
            with opened(mount) as host:
                given = host.encode(), mount.guest.encode()
                if not lib.wasi_config_preopen_dir(config, *given, mount.writable):
                    raise Refused(f"{mount.host} at {mount.guest}")
        except OSError as e:
            raise Refused(f"{mount.host} at {mount.guest} ({e.strerror})") from e


def _lend(lib: Any, config: int, setup: Setup, lent: Lent) -> None:
    for sink, inherit, custom in (
        (setup.stdout, lib.wasi_config_inherit_stdout, lib.wasi_config_set_stdout_custom),
        (setup.stderr, lib.wasi_config_inherit_stderr, lib.wasi_config_set_stderr_custom),
    ):
        if sink is None:
            inherit(config)
        else:
            custom(config, _write, _sinks.keep(lent.lend(sink)), _sinks.finalizer)


@lru_cache(maxsize=64)  # a worker that answers thousands of requests has the same each time
def _strings(texts: tuple[str, ...]) -> ctypes.Array[c_char_p]:
    return (c_char_p * len(texts))(*(text.encode() for text in texts))


def _written(number: int, data: Any, size: int) -> int:
    try:
        result = _sinks[number](ctypes.string_at(data, size))
    except BaseException:  # noqa: BLE001 - C cannot be told why
        return -EIO
    return size if result is None else result


_sinks: Registry[Sink] = Registry()
_write = Write(_written)
