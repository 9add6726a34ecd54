"""All walls at once, around the process that does the work."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.records import Record
from wasmlrun.walls import calls, files
from wasmlrun.walls.reach import Reach, devices, readable, writable
from wasmlrun.walls.system import prctl

MAX_FILE_BYTES = 16 << 30
"""Bytes of each file that is written."""
_NO_NEW_PRIVILEGES = 38


class Fence(Record):
    """How a command's working process is walled in."""

    reach: Reach | None = None
    """None leaves files as they are."""
    required: bool = False
    """Whether a wall that cannot stand is an error."""


class Wall(Record):
    """One wall, and whether it stands."""

    name: str
    missing: str | None = None
    """Why it does not stand."""


_standing: list[Wall] = []


def standing() -> list[Wall]:
    """The walls that were to be put up around this process; none where it has no fence."""
    return list(_standing)


def stand(fence: Fence) -> list[Wall]:
    """Put up the walls around this process, which has one thread, for good.

    What the system does not have is left out; `standing` says what.

    Raises UsageFault for a wall that is required and cannot stand.
    """
    reach = fence.reach

    def restrict() -> None:
        assert reach is not None
        files.restrict_files(
            readable(reach), writable(reach), devices(reach), network=reach.network
        )

    wanted: list[tuple[str, Callable[[], None]]] = [
        ("no new privileges", lambda: prctl(_NO_NEW_PRIVILEGES, 1)),
        ("no core dumps, bounded files", _limit),
    ]
    if reach is not None:
        wanted.append(("files", restrict))
    network = reach is not None and reach.network
    wanted.append(("system calls", lambda: calls.refuse_calls(network=network)))
    walls = []
    for name, put_up in wanted:
        missing = None
        try:
            _only_on_linux(name)
            put_up()
        except OSError as e:
            missing = e.strerror or str(e)
        walls.append(Wall(name, missing))
    _standing[:] = walls
    fallen = [f"{wall.name}: {wall.missing}" for wall in walls if wall.missing is not None]
    if fence.required and fallen:
        raise UsageFault(
            f"--require-isolation: this system lacks a wall ({'; '.join(fallen)})",
            "wasmlrun doctor says what there is; a newer Linux kernel has all of them",
        )
    return walls


def in_own_group() -> None:
    """Become a process group of one's own, to be killed whole.

    Not where standard input is a terminal: only the group in front may read from it.
    """
    if os.name != "posix" or _is_terminal(0):
        return
    os.setpgid(0, 0)
    # a terminal may be set to stop groups in the background that write to it
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)


def _only_on_linux(name: str) -> None:
    if sys.platform != "linux" and name != "no core dumps, bounded files":
        raise OSError(errno.ENOSYS, "only Linux has it")


def _limit() -> None:
    if sys.platform == "win32":
        raise OSError(errno.ENOSYS, "Windows has no such limits")
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    most = MAX_FILE_BYTES if hard == resource.RLIM_INFINITY else min(hard, MAX_FILE_BYTES)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False
