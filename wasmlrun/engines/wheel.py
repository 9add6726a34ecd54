"""Native libraries inside the wheels of Python packages, found without importing the packages."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wasmlrun.engines.protocol import EngineError
from wasmlrun.support.native import loaded


def library(package: str, title: str, folder: str, names: Mapping[str, str]) -> Path:
    """The library in a folder of a package that is installed.

    `names` are file names, with `*` for what differs, by `sys.platform`; Linux's are every other
    system's. Raises EngineError, which calls the library `title`.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EngineError(f"the {package.replace('_', '-')} package is not installed")
    place = Path(next(iter(spec.submodule_search_locations))) / folder
    found = sorted(place.glob(names.get(sys.platform, names["linux"])))
    if not found:
        raise EngineError(f"{title} is missing from {place}: its wheel is of an unknown version")
    return found[0]


def opened(
    path: Path, title: str, functions: Mapping[str, tuple[Any, Sequence[Any]]]
) -> ctypes.CDLL:
    """A library that computes with OpenMP, its functions declared: name -> result, arguments.

    Raises EngineError, which calls the library `title`.
    """
    # how long a thread that waits for another keeps its core busy: libgomp's own choice is
    # several times slower where anything else wants the cores, and no faster where nothing does
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        lib = loaded(path)
    except OSError as e:
        raise EngineError(f"{title} cannot be loaded: {e}") from e
    for name, (returns, arguments) in functions.items():
        try:
            function = getattr(lib, name)
        except AttributeError:
            raise EngineError(f"{path.name} has no {name}: it is of an unknown version") from None
        function.restype, function.argtypes = returns, arguments
    return lib


def identity(path: Path) -> str:
    """What tells a library from any other: its name, size and time."""
    about = path.stat()
    return f"{path.name}-{about.st_size}-{about.st_mtime_ns}"
