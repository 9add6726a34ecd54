"""What this process as a whole does with memory, and who may write to its stderr."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_muting = threading.Lock()

# malloc.h
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8


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


def memory_in_use() -> int:
    """Bytes of this process that `bound_memory` bounds; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def keep_one_heap() -> None:
    """Let all threads share one heap, and give nothing of it back.

    A model that is imported fills and frees tens of megabytes, and each page that is new to the
    process interrupts it: this saves one in seven. For a process with one thing to do. Only
    glibc has what it takes; elsewhere nothing happens.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, 1 << 30)


@contextmanager
def native_stderr_muted() -> Iterator[None]:
    """Keep native libraries from writing to file descriptor 2 while the block runs.

    Parsers in them log raw bytes of the file they read. Other threads may have something to say
    meanwhile: `Messages.use_own_descriptor` keeps that.
    """
    with _muting, _muted(2):
        yield


@contextmanager
def native_output_muted() -> Iterator[None]:
    """As `native_stderr_muted`, for libraries that say on stdout what is no answer."""
    with _muting, _muted(2), _muted(1):
        yield


@contextmanager
def _muted(descriptor: int) -> Iterator[None]:
    (sys.stdout if descriptor == 1 else sys.stderr).flush()
    kept = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
