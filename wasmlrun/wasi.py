"""What WASI gives an instance: arguments, variables, mounts and streams, and nothing else.

Core modules and components are given the same.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import weakref
from collections.abc import Callable, Sequence

from wasmtime import Trap, WasiConfig, WasmtimeError

from wasmlrun.errors import BadWorker, LimitExceeded
from wasmlrun.grant import Grant
from wasmlrun.limits import exceeded

OUT_OF_MEMORY = "wasmlrun_out_of_memory"
"""The function of `adapter.wat` that traps when its memory cannot grow."""


def wasi_config(
    grant: Grant,
    arguments: Sequence[str],
    environ: Sequence[tuple[str, str]],
    output: Output,
    *,
    stdin: bytes | None,
    stdout: Callable[[bytes], None],
    stderr: Callable[[bytes], None],
    inherit: bool,
) -> WasiConfig:
    """The configuration of one instance; `arguments` begin with the program's name.

    With `inherit` the guest has this process's own streams, its stdin only if `stdin` is None;
    its output is counted only if there is a limit.

    Raises:
        BadWorker: a folder cannot be mounted.
    """
    wasi = WasiConfig()
    wasi.argv = list(arguments)
    wasi.env = [*grant.environ.items(), *environ]
    if inherit and stdin is None:
        wasi.inherit_stdin()
    else:
        _stdin_bytes(wasi, stdin or b"")
    if inherit and output.limit is None:
        wasi.inherit_stdout()
        wasi.inherit_stderr()
    else:
        if inherit:
            stdout, stderr = _to_descriptor(1), _to_descriptor(2)
        wasi.stdout_custom = output.to(stdout)
        wasi.stderr_custom = output.to(stderr)
    for mount in grant.mounts:
        try:
            wasi.preopen_dir(str(mount.host), mount.guest, mount.writable)
        except WasmtimeError as e:
            raise BadWorker(
                f"folder {mount.host} cannot be mounted at {mount.guest}: {sentence(e)}"
            ) from e
    return wasi


class Output:
    """Counts what a guest writes and cuts it off at the limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._written = 0
        self._freed: list[threading.Event] = []
        self._callbacks: list[weakref.ref[Callable[[bytes], int | None]]] = []
        self.exceeded = False

    def to(self, sink: Callable[[bytes], None]) -> Callable[[bytes], int | None]:
        """What wasmtime calls with each write; over the limit the guest is told EIO."""

        def write(data: bytes) -> int | None:
            self._written += len(data)
            if self.limit is not None and self._written > self.limit:
                self.exceeded = True
                return -5  # EIO, to the guest
            sink(data)
            return None

        freed = threading.Event()
        self._freed.append(freed)
        self._callbacks.append(weakref.ref(write, lambda _: freed.set()))
        return write

    def wait(self) -> None:
        """Wait until the closed store has let go of its streams.

        A component's are served by a thread of wasmtime's, which must not meet a Python that
        is shutting down.
        """
        for freed in self._freed:
            freed.wait(1)

    def error(self) -> LimitExceeded:
        """The sentence for a guest that was cut off."""
        assert self.limit is not None
        return exceeded("output", self.limit, "the worker printed more")


def _to_descriptor(number: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(number, data) :]

    return write


def _stdin_bytes(wasi: WasiConfig, data: bytes) -> None:
    # wasmtime's C API takes stdin as bytes; its Python class has only files for it
    from wasmtime import _ffi as ffi

    vector = ffi.wasm_byte_vec_t()
    buffer = ctypes.cast(ctypes.c_char_p(data), ctypes.POINTER(ffi.wasm_byte_t))
    ffi.wasm_byte_vec_new(ctypes.byref(vector), len(data), buffer)
    # takes ownership of the vector
    ffi.wasi_config_set_stdin_bytes(wasi.ptr(), ctypes.byref(vector))


def sentence(error: Trap | WasmtimeError) -> str:
    """What wasmtime says, in one line: the head and the causes, without the backtrace."""
    text = error.message if isinstance(error, Trap) else str(error)
    head, _, causes = text.partition("Caused by:")
    lines = [] if head.startswith("error while executing") else [head.strip().splitlines()[0]]
    for line in causes.splitlines():
        cause = re.sub(r"^\s*(\d+: )?(wasm trap: )?", "", line).strip()
        if cause:
            lines.append(cause)
    return "; ".join(lines)[:400] or "no reason given"


def limit_hit(error: Trap | WasmtimeError) -> str | None:
    """The name of the limit that ended a guest, None when it was none of the engine's."""
    why = sentence(error)
    if isinstance(error, WasmtimeError) and OUT_OF_MEMORY in str(error):
        return "memory"
    if "exceeds memory limits" in why:
        return "memory"
    if "exceeds table limits" in why:
        return "table"
    if "all fuel consumed" in why:
        return "fuel"
    if "instance count too high" in why or "too many instances" in why:
        return "instances"
    return None
