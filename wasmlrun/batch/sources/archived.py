"""A tar archive, plain or compressed: WebDataset's shards are such archives.

Archives come from anywhere. Members are never written anywhere, so their names lead nowhere;
links, devices and what is too large are rows that say so. Headers that would fill the memory end
the reading. It happens in a child (`wasmlrun.batch.sources.reading`).
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

from wasmlrun.batch.item import Item, shown
from wasmlrun.batch.sources.folder import is_picture
from wasmlrun.support.errors import BadFile, BadImage
from wasmlrun.support.limits import MIB
from wasmlrun.support.tars import DAMAGED, Member, forget_members

SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
MAX_MEMBER_BYTES = 64 * MIB
"""Bytes of a picture in an archive: it is in memory whole."""


def pictures(path: Path, source: str, skip: int = 0) -> Iterator[Item]:
    """The pictures of an archive in its order; the first `skip` without their bytes.

    Raises:
        BadFile: it is no archive, or damaged.
    """
    number = 0
    try:
        with tarfile.open(path, "r|*", tarinfo=Member) as archive:
            for member in archive:
                if not member.isdir() and is_picture(member.name):
                    number += 1
                    yield _item(archive, member, source, without=number <= skip)
                forget_members(archive)
    except DAMAGED as e:
        raise BadFile(f"archive {path} is damaged or none: {e}", "make it anew") from e
    except OSError as e:
        raise BadFile(f"archive {path} cannot be read: {e.strerror or e}") from e


def _item(archive: tarfile.TarFile, member: tarfile.TarInfo, source: str, *, without: bool) -> Item:
    name = shown(f"{source}#{member.name}")
    if not member.isreg():
        fault = BadImage(f"image {name} is no regular file but a link or a device")
        return Item(name, source, fault=fault)
    if member.size > MAX_MEMBER_BYTES:
        fault = BadImage(
            f"image {name} has {member.size} bytes, more than the {MAX_MEMBER_BYTES} "
            "of a picture in an archive",
            "unpack it, and name the folder",
        )
        return Item(name, source, fault=fault)
    if without:
        return Item(name, source, data=b"")
    content = archive.extractfile(member)
    assert content is not None  # of regular files there is one
    return Item(name, source, data=content.read())
