"""Folders that a guest gets: `--dir HOST:GUEST[:rw]`, and whether they can be mounted together."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from wasmlrun.manifest.manifest import Mount
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, BadManifest, UsageFault
from wasmlrun.support.paths import exists, is_dir


def parse_mount(text: str) -> Mount:
    """`HOST:GUEST[:rw]`; a host path alone is mounted under its own name.

    Raises:
        UsageFault: it is not of that form.
    """
    parts = text.split(":")
    writable = len(parts) > 2 and parts[-1] in ("rw", "ro")
    mode = parts.pop() if writable else "ro"
    host, guest = (parts[0], parts[-1]) if len(parts) in (1, 2) else ("", "")
    if not host or not guest:
        raise UsageFault(f"--dir {text}: not of the form HOST:GUEST[:rw]", "write --dir .:/data:rw")
    return Mount(Path(host).absolute(), guest, mode == "rw")


def parse_mounts(texts: Sequence[str], already: Sequence[Mount]) -> tuple[Mount, ...]:
    """The mounts of a manifest and of the command line, checked together.

    Raises:
        UsageFault: it is not of that form, or two are on one guest path.
        BadFile: a folder does not exist.
    """
    mounts = (*already, *map(parse_mount, texts))
    for mount in mounts:
        if not exists(mount.host):
            raise BadFile(
                f"folder {mount.host}, to be mounted at {mount.guest}, does not exist",
                "create it or correct --dir",
            )
    try:
        check_folders(mounts, "--dir")
    except BadManifest as e:
        raise UsageFault(e.message, e.hint) from e
    return mounts


@contextmanager
def opened(mount: Mount) -> Iterator[str]:
    """A path by which to open a mount's folder: on Linux, of one that a manifest names, the folder
    itself, opened in the manifest's, whatever its name leads to by now.

    Raises OSError: it leads out, or is no folder any more.
    """
    if mount.within is None or sys.platform != "linux":
        yield str(mount.host)
        return
    folder = beneath.open_place(mount.host, mount.within)
    try:
        yield f"/proc/self/fd/{folder}"
    finally:
        os.close(folder)


def check_folders(mounts: Iterable[Mount], where: str) -> None:
    """Every mount is an existing folder and has a guest path of its own.

    Raises:
        BadManifest: naming the first mount that is not.
    """
    seen: dict[str, Path] = {}
    for mount in mounts:
        if not exists(mount.host):
            raise BadManifest(
                f"folder {mount.host}, to be mounted at {mount.guest}, does not exist",
                f"create it or correct {where}",
            )
        if not is_dir(mount.host):
            raise BadManifest(
                f"{mount.host}, to be mounted at {mount.guest}, is a file, not a folder",
                f"name its folder in {where}",
            )
        guest = mount.guest.rstrip("/") or "/"
        if guest in seen:
            raise BadManifest(
                f"two folders on one guest path: {seen[guest]} and {mount.host} at {mount.guest}",
                f"give each its own path in {where}",
            )
        seen[guest] = mount.host
