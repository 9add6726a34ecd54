"""Standard output and error of guests that are run by the thousand, written without a thread.

wasmtime serves a stream that is not its process's own from a thread: two changes of threads for
each write, which takes longer than making an instance. Here what a guest writes goes straight to
its sink. That is all of `fd_write` only for a guest that has no other descriptors: one without
mounts, which does not give its descriptors other numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.setup import Setup, Sink
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.wasmtime_c import Caller, GuestMemory, Linker, OutsideMemory

MODULE, NAME, ARITY = "wasi_snapshot_preview1", "fd_write", 4
_RENUMBER = "fd_renumber"
_BADF, _IO, _NOMEM = 8, 29, 48
_MOST = 128 << 20
"""Bytes that one call may be about, as in wasmtime."""
_AT_ONCE = 1 << 20


def suffice(grant: Grant, imports: Sequence[tuple[str, str, int]]) -> bool:
    """Whether standard output and error are all that a program can write to."""
    return not grant.mounts and not any(name == _RENUMBER for _, name, _ in imports)


class Streams:
    """Where the instance that runs writes."""

    def __init__(self) -> None:
        self._sinks: dict[int, Sink] = {}

    def define(self, linker: Linker) -> None:
        """Take the place of wasmtime's function."""
        linker.define(MODULE, NAME, ARITY, self._write, instead=True)

    @contextmanager
    def lent(self, setup: Setup) -> Iterator[None]:
        """The block runs an instance that writes where the setup says."""
        sinks = {1: setup.stdout, 2: setup.stderr}
        self._sinks = {number: sink for number, sink in sinks.items() if sink is not None}
        try:
            yield
        finally:
            self._sinks = {}

    def _write(self, caller: Caller, descriptor: int, vectors: int, count: int, out: int) -> int:
        try:
            return self._written(
                GuestMemory(caller), descriptor, vectors & _U32, count & _U32, out & _U32
            )
        except OutsideMemory as error:  # wasmtime ends such a guest too
            raise WorkerFailed(f"{MODULE}.{NAME}: {error}") from error

    def _written(
        self, memory: GuestMemory, descriptor: int, vectors: int, count: int, out: int
    ) -> int:
        if 8 * count > _MOST:
            return _NOMEM
        at, size = _first(memory, vectors, count)
        if 8 * count + size > _MOST:
            return _NOMEM
        sink = self._sinks.get(descriptor)
        if sink is None:
            return _BADF
        memory.check(at, size, "what is written")
        for start in range(0, size, _AT_ONCE):
            piece = memory.read(at + start, min(_AT_ONCE, size - start), "what is written")
            if (sink(piece) or 0) < 0:
                return _IO
        memory.write_u32(out, size, "the result")
        return 0


_U32 = 0xFFFFFFFF


def _first(memory: GuestMemory, vectors: int, count: int) -> tuple[int, int]:
    """Place and size of the first vector that has bytes; as in wasmtime the rest is not written."""
    for number in range(count):
        at, size = memory.read_u32s(vectors + 8 * number, 2, "the vectors")
        if size:
            return at, size
    return 0, 0
