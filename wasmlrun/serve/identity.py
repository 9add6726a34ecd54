"""What a server serves, in a form that a command can compare with what it wants.

Imported by `classify --via auto`: nothing heavy here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wasmlrun

_FILES = ("worker", "manifest", "model", "labels")


def socket_path() -> Path | None:
    """Where the user's server listens for one-shots; None where there is no such place."""
    if not hasattr(os, "getuid"):
        return None
    run = os.environ.get("XDG_RUNTIME_DIR")
    if run:
        return Path(run, "wasmlrun", "oneshot.sock")
    from wasmlrun.support.cache import default_root

    return default_root() / "run" / "oneshot.sock"


def identity(wishes: Mapping[str, Any], engine: Mapping[str, Any]) -> list[Any]:
    """Version, engine and files; files by place, size and time, so that a change is another."""
    found: list[Any] = [wasmlrun.__version__, [[k, engine[k]] for k in sorted(engine)]]
    for name in _FILES:
        value = wishes.get(name)
        found.append([name, _file(value) if value else None])
        if name in ("worker", "model") and value:
            found.append(_file(os.path.splitext(value)[0] + ".toml"))  # noqa: PTH122
    return found


def _file(name: str) -> list[Any]:
    path = os.path.realpath(name)
    try:
        status = os.stat(path)  # noqa: PTH116 - as quick as can be
    except OSError:
        return [name]  # the name of what is bundled or pulled
    if not os.path.isdir(path):  # noqa: PTH112
        return [path, status.st_size, status.st_mtime_ns]
    inside = sorted(os.scandir(path), key=lambda entry: entry.name)
    return [path, *([e.name, e.stat().st_size, e.stat().st_mtime_ns] for e in inside)]
