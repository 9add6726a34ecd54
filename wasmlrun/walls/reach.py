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
# names of hosts, and whom to trust
_NETWORK = (
    *("/etc/hosts", "/etc/host.conf", "/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/gai.conf"),
    *("/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/run/systemd/resolve"),
)
_GRAPHICS = ("/dev/dri", "/dev/accel", "/dev/kfd", "/dev/nvidia0", "/dev/nvidiactl")


class Reach(Record):
    """Files and folders, with all that is beneath them, besides the system's own."""

    reading: tuple[Path, ...] = ()
    writing: tuple[Path, ...] = ()
    mounts: tuple[tuple[Path, Path | None], ...] = ()
    """Folders that may be written to, each with the one that it must lie in when it is opened."""
    anywhere: bool = False
    """Whether everything may be read, as `--allow-outside` wants it."""
    network: bool = False
    """Whether a worker may be allowed to send requests; the host sends them for it."""
    graphics: bool = False
    """Whether a graphics card or an accelerator is to be used."""


def readable(reach: Reach) -> list[Path]:
    """All that may be read."""
    if reach.anywhere:
        return [Path("/")]
    # where Python, its packages and this one are, and this process's own facts; the first entry is
    # where the program started, which may be the current folder
    own = [sys.prefix, sys.base_prefix, sys.exec_prefix, *filter(os.path.isabs, sys.path[1:])]
    own += [str(_PACKAGE.parent), f"/proc/{os.getpid()}"]
    found = [Path(place) for place in dict.fromkeys((*_SYSTEM, *own))]
    if reach.network:
        found += [Path(place) for place in (*_NETWORK, os.environ.get("SSL_CERT_FILE")) if place]
    return [*found, *reach.reading]


def writable(reach: Reach) -> list[tuple[Path, Path | None]]:
    """All that may be written, each with the folder that it must lie in, if there is one."""
    return [(place, None) for place in (Path("/dev/null"), *reach.writing)] + [*reach.mounts]


def devices(reach: Reach) -> list[Path]:
    """Devices that may be used."""
    return [Path(place) for place in _GRAPHICS] if reach.graphics else []
