"""What a server serves, in a form that a command can compare with what it wants.

Imported by `classify --via auto`: nothing heavy here.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wasmlrun
from wasmlrun.support.userdata import data_dir

HEADER = struct.Struct("<II")
"""Before each question: bytes of its JSON text, and of the picture behind that."""
MAX_HEAD, MAX_PICTURE = 1 << 16, 256 << 20
MOST_TOP = 1000
_FILES = ("worker", "manifest", "model", "labels")


def socket_path() -> Path | None:
    """Where the user's server listens for one-shots; None where there is no such place."""
    if not hasattr(os, "getuid"):
        return None
    run = os.environ.get("XDG_RUNTIME_DIR")
    if run:
        return Path(run, "wasmlrun", "oneshot.sock")
    from wasmlrun.support.userdata import cache_dir

    return cache_dir() / "run" / "oneshot.sock"


def identity(wishes: Mapping[str, Any], engine: Mapping[str, Any]) -> list[Any]:
    """Version, engine and files; files by place, size and time, so that a change is another."""
    found: list[Any] = [wasmlrun.__version__, [[k, engine[k]] for k in sorted(engine)]]
    found.append([list(wishes.get("dirs") or ()), bool(wishes.get("allow_outside"))])
    for name in _FILES:
        value = wishes.get(name)
        found.append([name, *_file(value)])
        if name in ("worker", "model") and value:
            found.append(_file(os.path.splitext(value)[0] + ".toml"))  # noqa: PTH122
    return found


def _file(name: str | None) -> list[Any]:
    path = os.path.realpath(name) if name else ""
    stamp = _stamp(path) if name else None
    if stamp is None:
        # what is bundled or pulled goes by its name; pulling or removing a model is a change
        return [name, _stamp(str(data_dir() / "models"))]
    if not os.path.isdir(path):  # noqa: PTH112
        return [path, *stamp]
    inside = sorted(entry.path for entry in os.scandir(path))
    return [path, *([inner, _stamp(inner)] for inner in inside)]


def _stamp(path: str) -> list[int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as quick as can be
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
