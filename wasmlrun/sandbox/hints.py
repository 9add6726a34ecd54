"""A guest that fails over files: what to tell about its mounted folders.

WASI tells the guest alone that it may not write, or that a file is not there; the host learns
of it, if at all, from what the guest says before it gives up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from wasmlrun.manifest.manifest import Mount

_KEPT = 4096
# in the words of libc, Rust, Go, Python and JavaScript; WASI's numbers are 2 EACCES, 63 EPERM,
# 69 EROFS and 76 ENOTCAPABLE
_REFUSED = (
    r"(operation|is|was) not (permitted|allowed)|permission ?denied|read-?only (file|folder)"
    r"|capabilities insufficient|\bE(PERM|ACCES|ROFS|NOTCAPABLE)\b"
    r"|\b(os error|code:|errno:?) ?(2|63|69|76)\b"
)
# 8 is EBADF, 44 ENOENT, 76 ENOTCAPABLE
_NOT_FOUND = (
    r"no such file|file ?not ?found|pre-?open|bad file descriptor|capabilities insufficient"
    r"|\bE(NOENT|BADF|NOTCAPABLE)\b|\b(os error|code:|errno:?) ?(8|44|76)\b"
)


class Heard:
    """Passes on what a guest says and remembers the end of it."""

    def __init__(self, sink: Callable[[bytes], int | None]) -> None:
        self._sink = sink
        self._tail = b""

    def __call__(self, data: bytes) -> int | None:
        """The guest says something."""
        self._tail = (self._tail + data)[-_KEPT:]
        return self._sink(data)

    @property
    def text(self) -> str:
        """The last that was said."""
        return self._tail.decode(errors="replace")


def was_refused(said: str) -> bool:
    """Whether a guest complains that it may not do something."""
    return _says(_REFUSED, said)


def remedy(mounts: Sequence[Mount], said: str) -> str | None:
    """What to do about a guest that failed after saying this, None when it has no need."""
    if not mounts:
        if _says(_NOT_FOUND, said):
            return "a worker sees no folder of this machine: --dir HOST:GUEST mounts one"
        return None
    folders = [mount.guest for mount in mounts if not mount.writable]
    if not folders:
        return None
    named = [folder for folder in folders if folder.rstrip("./") and folder in said] or folders
    options = " or ".join(f"--writable {folder}" for folder in named)
    if was_refused(said):
        are = "is" if len(named) == 1 else "are"
        return f"to let it write to {' and '.join(named)}, which {are} read-only: {options}"
    return None


def _says(pattern: str, said: str) -> bool:
    # most guests say nothing: compiling the pattern takes longer than a millisecond
    return bool(said) and re.search(pattern, said, re.IGNORECASE) is not None
