"""Folders that the command line gives a guest: `--dir HOST:GUEST[:rw]`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wasmlrun.manifest.reader import Mount, check_folders
from wasmlrun.support.errors import BadFile, BadManifest, UsageFault
from wasmlrun.support.paths import exists


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
