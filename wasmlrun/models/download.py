"""Fetch a file so that only the whole and right file ever gets its name.

Bytes go to `NAME.part`, which a later attempt or a later process continues; when they are all
there their size and sha256 are checked, and only then is the file renamed.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol
from urllib.parse import quote, urljoin, urlsplit

from wasmlrun.models.catalogue import RemoteFile
from wasmlrun.models.connection import Transfer, pool, reason_of, request, status_text
from wasmlrun.models.sources import check_address, scheme_of
from wasmlrun.support import beneath
from wasmlrun.support.errors import DownloadFailed, UsageFault
from wasmlrun.support.records import NOTHING

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.exceptions import HTTPError
    from urllib3.util.retry import RequestHistory

CHUNK = 64 * 1024
MAX_RETRY_AFTER = 60.0
DIGEST_HINT = "give the file's digest with --sha256, so that it can be checked"
MIRROR_HINT = (
    "or name a mirror that holds {name}: --mirror URL or WASMLRUN_MIRROR=URL "
    "(http://, https:// or file://)"
)


class Watcher(Protocol):
    """Who is told how a download goes."""

    def progress(self, name: str, done: int, total: int | None) -> None:
        """`done` of `total` bytes of the file are here; None when the total is not known."""

    def say(self, text: str) -> None:
        """Something a person who waits wants to know."""


def fetch(
    file: RemoteFile,
    target: Path,
    transfer: Transfer,
    watcher: Watcher,
    headers: Mapping[str, str] = NOTHING,
    authority: str | None = None,
) -> RemoteFile:
    """Fetch `file` to the path `target`; its size and digest come back filled in.

    The file's address, or the mirror's, is https, http or file; `headers` are for the first
    of its servers, and `authority` is a file of certificates to trust as well.

    Raises:
        DownloadFailed: it cannot be fetched, or what came is not the file.
        UsageFault: the file's or the mirror's address is none.
        OSError: the target's folder cannot be written.
    """
    address = address_of(file, transfer.mirror)
    part = target.with_name(target.name + ".part")
    if file.sha256 is None:
        if urlsplit(address).scheme == "http" and not _is_local(address):
            raise DownloadFailed(f"{address} is an address without encryption", DIGEST_HINT)
        # nothing would tell whether the rest belongs to what is here
        part.unlink(missing_ok=True)
    resumed = _size(part) > 0
    _Fetch(file, address, part, transfer, watcher, headers, authority).run()
    digest = sha256_of(part)
    if resumed and digest != file.sha256:
        # the beginning was perhaps of another version of the file: once more, from the start
        part.unlink()
        _Fetch(file, address, part, transfer, watcher, headers, authority).run()
        digest = sha256_of(part)
    if file.sha256 not in (None, digest):
        part.unlink()
        raise DownloadFailed(
            f"{address} is not the file that is expected: its sha256 is {digest}, "
            f"not {file.sha256}",
            "nothing was kept; try again, or another mirror, and if it stays so report it",
        )
    size = _size(part)
    part.replace(target)
    sync_folder(target.parent)
    return replace(file, size=size, sha256=digest)


def address_of(file: RemoteFile, mirror: str | None) -> str:
    """Where the file is fetched from.

    Raises:
        UsageFault: it is no address.
    """
    if mirror is None:
        return check_address(file.address)
    if scheme_of(check_address(mirror)) not in ("http", "https", "file"):
        raise UsageFault(
            f"{mirror!r} is no mirror", "its address starts with https://, http:// or file:///"
        )
    return f"{mirror.rstrip('/')}/{quote(file.name)}"


def sha256_of(path: Path) -> str:
    """The digest of a file, in lower-case hexadecimal. Raises OSError."""
    with open(beneath.open_file(path), "rb") as stream:  # noqa: PTH123 - a descriptor, no path
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames in a folder last through a power cut, where the system can."""
    with suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _Temporary(Exception):
    """An attempt failed in a way that another attempt may not."""

    def __init__(self, reason: str, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.wait = wait


class _Fetch:
    """Fills one part file, over as many attempts as it takes."""

    def __init__(
        self,
        file: RemoteFile,
        address: str,
        part: Path,
        transfer: Transfer,
        watcher: Watcher,
        headers: Mapping[str, str] = NOTHING,
        authority: str | None = None,
    ) -> None:
        self._headers = headers
        self._authority = authority
        self._file = file
        self._address = address
        self._part = part
        self._transfer = transfer
        self._watcher = watcher
        self._pool: PoolManager | None = None
        # what the server calls this version of the file, for continuing without a digest
        self._version: str | None = None

    def run(self) -> None:
        """Leave the part file complete and on the disk. Raises DownloadFailed, OSError."""
        most, failures = _size(self._part), 0
        with self._part.open("ab") as out:
            while True:
                try:
                    self._attempt(out)
                    break
                except _Temporary as e:
                    out.flush()
                    done = out.tell()
                    # a line that brings something each time is slow, not broken
                    failures = 1 if done > most else failures + 1
                    most = max(most, done)
                    if failures > self._transfer.retries:
                        raise self._failed(str(e)) from e
                    wait = max(self._transfer.backoff * 2 ** (failures - 1), e.wait)
                    self._watcher.say(f"{self._file.name}: {e}; trying again in {wait:.1f} s")
                    time.sleep(wait)
            out.flush()
            os.fsync(out.fileno())

    def _attempt(self, out: BinaryIO) -> None:
        if self._file.size is not None:
            if out.tell() > self._file.size:
                out.truncate(0)
                out.seek(0)
            if out.tell() == self._file.size:
                return
        if urlsplit(self._address).scheme == "file":
            self._copy(out)
        else:
            self._download(out)
        if self._file.size is not None and out.tell() < self._file.size:
            raise _Temporary("the connection was cut")

    def _copy(self, out: BinaryIO) -> None:
        from urllib.request import url2pathname

        out.truncate(0)
        out.seek(0)
        path = Path(url2pathname(urlsplit(self._address).path))
        try:
            stream = open(beneath.open_file(path), "rb")  # noqa: PTH123, SIM115 - a descriptor
        except OSError as e:
            raise DownloadFailed(
                f"cannot read {self._address}: {e.strerror}", f"is {path} the file that is meant?"
            ) from e
        with stream:
            size = os.fstat(stream.fileno()).st_size
            self._check_size(size)
            while chunk := stream.read(CHUNK):
                self._write(out, chunk, size)

    def _download(self, out: BinaryIO) -> None:
        from urllib3.exceptions import HTTPError

        offset = out.tell()
        if offset and self._file.sha256 is None and self._version is None:
            offset = self._restart(out)
        headers = {"Accept-Encoding": "identity", **self._headers}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self._version is not None:
                headers["If-Range"] = self._version
        try:
            if self._pool is None:
                self._pool = pool(self._address, self._authority)
            response = request(self._pool, self._address, self._transfer, headers)
            try:
                self._receive(response, out, offset)
            finally:
                response.close()
        except HTTPError as e:
            self._broken(e)

    def _receive(self, response: BaseHTTPResponse, out: BinaryIO, offset: int) -> None:
        self._check_status(response, out, offset)
        if response.status == HTTPStatus.OK and offset:
            # the server sends the whole file: it cannot continue, or the file has changed
            offset = self._restart(out)
        version = response.headers.get("ETag", "")
        self._version = version if version.startswith('"') else None  # a weak one is no promise
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else None
        if total is not None:
            self._check_size(total)
        for chunk in response.stream(CHUNK, decode_content=False):
            self._write(out, chunk, total)

    def _check_status(self, response: BaseHTTPResponse, out: BinaryIO, offset: int) -> None:
        """Only 200, and 206 for the bytes that were asked for, mean that bytes of it follow."""
        status = response.status
        if self._file.sha256 is None:
            history = response.retries.history if response.retries is not None else ()
            for address in _addresses(self._address, history):
                local = _is_local(address) and _is_local(self._address)
                if urlsplit(address).scheme != "https" and not local:
                    raise DownloadFailed(
                        f"{self._address} leads to an address without encryption", DIGEST_HINT
                    )
        if status == HTTPStatus.OK:
            return
        if status == HTTPStatus.PARTIAL_CONTENT:
            if response.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                return
            self._restart(out)
            raise _Temporary("the server continued at another place")
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and offset:
            self._restart(out)
            raise _Temporary("the server's file is shorter than what is here")
        reason = status_text(status)
        if status >= 500 or status in (
            HTTPStatus.REQUEST_TIMEOUT,
            HTTPStatus.TOO_MANY_REQUESTS,
        ):
            raise _Temporary(reason, _retry_after(response.headers))
        raise self._failed(reason)

    def _write(self, out: BinaryIO, chunk: bytes, total: int | None) -> None:
        done = out.tell() + len(chunk)
        # before it is written: a server that never stops must not fill the disk
        if done > (self._file.size if self._file.size is not None else self._transfer.most):
            self._restart(out)
            raise self._too_large()
        out.write(chunk)
        known = self._file.size if self._file.size is not None else total
        self._watcher.progress(self._file.name, done, known)

    def _check_size(self, size: int) -> None:
        if self._file.size is None:
            if size > self._transfer.most:
                raise self._too_large()
        elif size != self._file.size:
            raise DownloadFailed(
                f"{self._address} has {size} bytes; the file that is expected has "
                f"{self._file.size}",
                "nothing was kept; try another mirror",
            )

    def _too_large(self) -> DownloadFailed:
        limit = self._file.size if self._file.size is not None else self._transfer.most
        return DownloadFailed(
            f"{self._address} sends more than the {limit} bytes that it may have",
            "nothing was kept; try another mirror",
        )

    def _restart(self, out: BinaryIO) -> int:
        out.truncate(0)
        out.seek(0)
        return 0

    def _broken(self, error: HTTPError) -> None:
        """What the library raised, as a failure for now or for good."""
        reason = reason_of(error, self._address)
        if reason.untrusted:
            raise DownloadFailed(
                f"cannot download {self._address}: {reason.text}",
                "an own authority's certificate can be named with SSL_CERT_FILE; "
                + MIRROR_HINT.format(name=self._file.name),
            ) from error
        if reason.lasting:
            raise self._failed(reason.text) from error
        raise _Temporary(reason.text) from error

    def _failed(self, reason: str) -> DownloadFailed:
        where = "check the network" if self._transfer.mirror is None else "check the mirror"
        return DownloadFailed(
            f"cannot download {self._address}: {reason}",
            f"{where}, {MIRROR_HINT.format(name=self._file.name)}",
        )


def _addresses(start: str, history: Iterable[RequestHistory]) -> Iterator[str]:
    """Where each redirect led, as a whole address."""
    at = start
    for step in history:
        if step.redirect_location:
            at = urljoin(at, step.redirect_location)
            yield at


def _is_local(address: str) -> bool:
    """Whether it is this machine itself, over plain HTTP: nobody is on the way."""
    url = urlsplit(address)
    host = url.hostname or ""
    named = host in ("localhost", "::1") or re.fullmatch(r"127(\.\d{1,3}){3}", host) is not None
    return url.scheme == "http" and named


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that the server asks to wait, within reason."""
    wanted = headers.get("Retry-After", "")
    return min(float(wanted), MAX_RETRY_AFTER) if wanted.isdecimal() else 0.0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
