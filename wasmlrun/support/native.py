"""Shared libraries, loaded while other threads go on."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path


def loaded(path: Path) -> ctypes.CDLL:
    """The library at a path, which must not need Python itself.

    ctypes holds Python's lock until the linker is done, which for a large library is as long as
    all imports of a warm run take; the linker is therefore called as any other function is.

    Raises OSError when the library cannot be loaded.
    """
    linker = None
    if os.name == "posix":
        linker = getattr(ctypes.CDLL(None), "dlopen", None)
    if linker is None:
        return ctypes.CDLL(str(path))
    linker.argtypes, linker.restype = [ctypes.c_char_p, ctypes.c_int], ctypes.c_void_p
    handle = linker(os.fsencode(path), os.RTLD_NOW)
    # without a handle ctypes tries once more, and says what is wrong
    return ctypes.CDLL(str(path), handle=handle)
