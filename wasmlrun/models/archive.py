"""One file out of a wheel or a tarball. Nothing else of the archive reaches the disk."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path
from typing import IO, BinaryIO, Final

from wasmlrun.support.errors import DownloadFailed
from wasmlrun.support.tars import DAMAGED, Member, forget_members

CHUNK: Final = 1024 * 1024
MAX_MEMBER: Final = 16 * 1024**3
"""Bytes that a file may have once it is unpacked, where its size is not known."""
_ENCRYPTED = 1
_MOST_NAMES = 1000
"""Of an archive without the file, as many names are compared with the one that was asked for."""


def unpack(archive: Path, member: str, size: int | None, out: BinaryIO) -> None:
    """Write the file at the path `member` to `out`; with `size`, it must have that many bytes.

    A member is found by its exact name, never made into a path: `..` and links lead nowhere.

    Raises:
        DownloadFailed: there is none, it is no plain file, it is damaged or too large.
        OSError: the archive cannot be read.
    """
    try:
        if zipfile.is_zipfile(archive):
            _from_zip(archive, member, size, out)
        else:
            _from_tar(archive, member, size, out)
    except (zipfile.BadZipFile, NotImplementedError, *DAMAGED) as e:
        raise _damaged(archive, e) from e
    except OSError as e:
        if e.errno is not None:
            raise
        raise _damaged(archive, e) from e  # of gzip and bzip2, not of the system


def _damaged(archive: Path, why: Exception) -> DownloadFailed:
    return DownloadFailed(f"{archive.name} is damaged or no archive: {why}")


def _from_zip(archive: Path, member: str, size: int | None, out: BinaryIO) -> None:
    with zipfile.ZipFile(archive) as opened:
        try:
            found = opened.getinfo(member)
        except KeyError:
            raise _missing(archive, member, opened.namelist()) from None
        if found.is_dir():
            raise DownloadFailed(f"{member} in {archive.name} is a folder")
        _check(archive, member, found.file_size, size)
        if found.header_offset < 0:
            raise zipfile.BadZipFile("a file before its beginning")
        if found.flag_bits & _ENCRYPTED:
            raise zipfile.BadZipFile("it is encrypted")
        with opened.open(found) as stream:
            _copy(archive, member, stream, found.file_size, out)


def _from_tar(archive: Path, member: str, size: int | None, out: BinaryIO) -> None:
    names: list[str] = []
    with tarfile.open(archive, "r:*", tarinfo=Member) as opened:
        for found in opened:
            forget_members(opened)
            if len(names) < _MOST_NAMES:
                names.append(found.name)
            if found.name.removeprefix("./") != member:
                continue
            stream = opened.extractfile(found) if found.isreg() else None
            if stream is None:
                raise DownloadFailed(f"{member} in {archive.name} is not a plain file")
            _check(archive, member, found.size, size)
            with stream:
                _copy(archive, member, stream, found.size, out)
            return
    raise _missing(archive, member, names)


def _check(archive: Path, member: str, found: int, size: int | None) -> None:
    if found != size and (size is not None or found > MAX_MEMBER):
        allowed = f"at most {MAX_MEMBER}" if size is None else f"{size}"
        raise DownloadFailed(
            f"{member} in {archive.name} has {found} bytes; {allowed} are expected",
            "nothing was kept",
        )


def _copy(archive: Path, member: str, stream: IO[bytes], size: int, out: BinaryIO) -> None:
    left = size
    while chunk := stream.read(min(CHUNK, left + 1)):
        # a header may lie: never more than it says
        left -= len(chunk)
        if left < 0:
            break
        out.write(chunk)
    if left:
        raise DownloadFailed(f"{member} in {archive.name} does not have the {size} bytes it claims")


def _missing(archive: Path, member: str, names: list[str]) -> DownloadFailed:
    from difflib import get_close_matches

    near = get_close_matches(member, names[:_MOST_NAMES], cutoff=0.4)
    return DownloadFailed(
        f"{archive.name} has no file {member}",
        f"did you mean {near[0]}?" if near else None,
    )
