"""The processes that this one has started."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def children() -> set[int]:
    """Numbers of this process's children that run; skips the test where /proc does not tell."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("needs /proc")
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = stat.read_text().rpartition(") ")
        except OSError:  # it ended meanwhile
            continue
        state, parent, *_ = rest.split()
        if int(parent) == os.getpid() and state != "Z":
            found.add(int(stat.parent.name))
    return found
