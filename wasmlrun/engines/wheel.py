"""Native libraries inside the wheels of Python packages, found without importing the packages."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path

from wasmlrun.engines.protocol import EngineError


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


def identity(path: Path) -> str:
    """What tells a library from any other: its name, size and time."""
    about = path.stat()
    return f"{path.name}-{about.st_size}-{about.st_mtime_ns}"
