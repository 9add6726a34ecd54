"""What this process as a whole may do: how much memory, in which pages, who writes to stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_muting = threading.Lock()

# malloc.h and mman.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MADV_HUGEPAGE = 14
_LARGE = 2 << 20


def bound_memory(size: int) -> None:
    """Let this process have at most `size` bytes of writable memory, native engines included.

    Address space is not bounded: a WebAssembly memory reserves gigabytes of it and uses little.
    Nothing is done where the system has no such limit.
    """
    if sys.platform == "win32":
        return
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (size, hard))


def use_large_pages(size: int = 64 << 20) -> None:
    """Let `size` bytes of the heap come in large pages, of which none is there before it is used.

    A model fills tens of megabytes, and each page of 4 KiB interrupts the thread that fills it:
    a third of the time that it takes to import one. For a process with one thing to do: all
    its threads share the heap. Only glibc has what this takes; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):  # another C library
        return
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    libc.mallopt(_M_ARENA_MAX, 1)
    # nothing in mappings of its own, and nothing given back: the heap is one piece
    libc.mallopt(_M_MMAP_THRESHOLD, 1 << 30)
    libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
    start = libc.malloc(size)
    libc.free(start)
    if start:
        first = -(-start // _LARGE) * _LARGE
        # refused where the system has no large pages or the heap could not grow: no harm done
        libc.madvise(first, (start + size - first) // _LARGE * _LARGE, _MADV_HUGEPAGE)


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Keep native libraries from writing to file descriptor 2 while the block runs.

    Parsers in them log raw bytes of the file they read. Other threads may have something to say
    meanwhile: `Messages.use_own_descriptor` keeps that.
    """
    with _muting:
        sys.stderr.flush()
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
