"""What a command's working process needs of the file system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from wasmlrun.support.records import Record

_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/opt"),
    *("/etc/ld.so.cache", "/etc/localtime", "/etc/os-release", "/etc/OpenCL", "/etc/alternatives"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version"),
    *("/proc/sys/vm", "/proc/sys/kernel", "/sys/devices", "/sys/fs/cgroup", "/sys/kernel/mm"),
    *("/sys/bus", "/sys/class", "/dev/zero", "/dev/random", "/dev/urandom"),
)
_PACKAGE = Path(__file__).parents[1]
_GRAPHICS = ("/dev/dri", "/dev/accel", "/dev/kfd", "/dev/nvidia0", "/dev/nvidiactl")


class Reach(Record):
    """Files and folders, with all that is beneath them, besides the system's own."""

    reading: tuple[Path, ...] = ()
    writing: tuple[Path, ...] = ()
    anywhere: bool = False
    """Whether everything may be read, as `--allow-outside` wants it."""
    graphics: bool = False
    """Whether a graphics card or an accelerator is to be used."""


def readable(reach: Reach) -> list[Path]:
    """All that may be read."""
    if reach.anywhere:
        return [Path("/")]
    # where Python, its packages and this one are, and this process's own facts
    own = [
        sys.prefix,
        sys.base_prefix,
        sys.exec_prefix,
        *filter(None, sys.path),
        str(_PACKAGE.parent),
    ]
    own += [f"/proc/{os.getpid()}"]
    found = [Path(place) for place in dict.fromkeys((*_SYSTEM, *own))]
    return [*found, *reach.reading]


def writable(reach: Reach) -> list[Path]:
    """All that may be written; what is given to nobody else."""
    return [Path("/dev/null"), *reach.writing]


def devices(reach: Reach) -> list[Path]:
    """Devices that may be used."""
    return [Path(place) for place in _GRAPHICS] if reach.graphics else []
