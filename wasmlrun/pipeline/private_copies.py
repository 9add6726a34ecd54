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
        _copy(mount.host, copy)
    except OSError:
        remove_tree(copy)
        return mount
    return replace(mount, host=copy, writable=True)


def _copy(folder: Path, copy: Path) -> None:
    """Contents, links and times; a worker sees no modes, and this process may set none."""
    waiting = [(folder, copy)]
    while waiting:
        source, target = waiting.pop()
        target.mkdir(mode=0o700)
        with os.scandir(source) as entries:
            for entry in entries:
                new = target / entry.name
                if entry.is_symlink():
                    new.symlink_to(Path(entry.path).readlink())
                elif entry.is_dir(follow_symlinks=False):
                    waiting.append((Path(entry.path), new))
                else:
                    shutil.copyfile(entry.path, new)
                    times = entry.stat(follow_symlinks=False)
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
