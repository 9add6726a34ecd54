"""Folders that a guest may write to without changing them: copies that are gone afterwards.

Wasm Workers Server mounts every folder writable, and its workers count on it; here nothing on the
disk changes unless somebody said so.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from wasmlrun.manifest.manifest import Mount
from wasmlrun.support import beneath
from wasmlrun.support.paths import is_dir
from wasmlrun.support.records import replace
from wasmlrun.support.tempfiles import own_folder, remove_tree

MOST_BYTES, MOST_FILES = 64 << 20, 1000
"""What is larger is not copied, and stays read-only."""


def with_private_copies(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The mounts, those of which nobody said whether they may be written to as private copies.

    They lie in the folder that was handed down to this process and is removed with all in it;
    without one, or where there is no room, mounts are as they were.
    """
    return tuple(mount if mount.writable or mount.said else _copied(mount) for mount in mounts)


def _copied(mount: Mount) -> Mount:
    place = own_folder()
    if place is None or not _is_small(mount.host):
        return mount
    copy = place / f"mount-{os.urandom(8).hex()}"
    try:
        _copy(mount.host, copy, mount.within or mount.host)
    except OSError:
        remove_tree(copy)
        return mount
    return replace(mount, host=copy, writable=True, within=None)


def _copy(folder: Path, copy: Path, within: Path) -> None:
    """Contents, links and times of what lies `within`, whoever moves it meanwhile; a worker sees no
    modes, and this process may set none.
    """
    waiting = [(folder, copy)]
    while waiting:
        source, target = waiting.pop()
        target.mkdir(mode=0o700)
        for name in _names(source, within):
            old, new = source / name, target / name
            if old.is_symlink():
                new.symlink_to(old.readlink())
            elif is_dir(old):
                waiting.append((old, new))
            else:
                _copy_file(old, new, within)


def _names(folder: Path, within: Path) -> list[str]:
    """What is in a folder. Raises OSError, also where it leads out."""
    descriptor = beneath.open_place(folder, within)
    try:
        with os.scandir(descriptor) as entries:
            return [entry.name for entry in entries]
    finally:
        os.close(descriptor)


def _copy_file(old: Path, new: Path, within: Path) -> None:
    """Raises OSError, also for what is no regular file or leads out."""
    descriptor = beneath.open_place(old, within, folder=False)
    with open(descriptor, "rb") as source, new.open("xb") as target:  # noqa: PTH123 - no path
        times = os.fstat(descriptor)
        shutil.copyfileobj(source, target)
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))


def _is_small(folder: Path) -> bool:
    size = count = 0
    for root, folders, files in os.walk(folder):
        count += len(folders) + len(files)
        for name in files:
            path = Path(root) / name
            if not path.is_symlink() and not path.is_file():
                return False  # a pipe or a device has no end
            size += path.lstat().st_size
        if size > MOST_BYTES or count > MOST_FILES:
            return False
    return True
