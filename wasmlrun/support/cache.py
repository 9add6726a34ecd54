"""The persistent cache: work that need not be done twice, content-addressed and self-checking.

An entry is two files. `KIND/KEY.entry` names the payload by its sha256 and says in words what
it was made from, and `payloads/SHA256` is the payload. Both are written under another name and
renamed, so that any number of processes may read and write at once and nobody sees a half. A
payload whose bytes do not have the digest in its name, or that belongs to another user, is never
used: the entry is dropped and made again.

Nothing in here raises: a cache that cannot be used is told under -v, and the run goes on.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wasmlrun.support.digest import sha256
from wasmlrun.support.processes import is_running
from wasmlrun.support.records import Record

DEFAULT_BOUND = 2 << 30
_PAYLOADS = "payloads"
_STALE_SECONDS = 3600
_INDEX = ".entry"
_MOST_INDEX = 1 << 16
"""Bytes of an index: a digest, and what a payload was made from in words."""
# what an index that somebody damaged raises when it is read
_UNREADABLE = (OSError, ValueError)


class Hit(Record):
    """The bytes of a payload whose digest was just checked; the file may be another by now."""

    data: bytes


class CacheEntry(Record):
    """One entry, for `wasmlrun cache ls`."""

    kind: str
    key: str
    what: str
    """What it was made from, in words."""
    size: int
    used: float
    """Seconds since the epoch of its last use."""


def key_of(*parts: str) -> str:
    """The key of an entry that depends on these strings, and only on them."""
    return sha256("\0".join(parts).encode())


class Cache:
    """A directory of entries. With root None nothing is kept and nothing is found."""

    def __init__(
        self,
        root: Path | None,
        bound: int = DEFAULT_BOUND,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`bound` is in bytes; `tell` hears what goes wrong."""
        self.root = root
        self._bound = bound
        self._tell = tell

    def get(self, kind: str, key: str) -> Hit | None:
        """A payload; None when there is none to be trusted."""
        if self.root is None:
            return None
        try:
            with _own_folders(self.root, kind, _PAYLOADS) as (entries, payloads):
                try:
                    digest, _ = _parsed(_read_own(f"{key}{_INDEX}", entries, _MOST_INDEX))
                    data = _read_own(digest, payloads, self._bound)
                    if sha256(data) != digest:
                        raise ValueError("its bytes have changed")
                except FileNotFoundError:
                    return None
                except _UNREADABLE as e:
                    self._tell(f"cache: dropped {kind}/{key[:12]}: {e}")
                    self.drop(kind, key)
                    return None
        except FileNotFoundError:
            return None
        except OSError as e:
            self._tell(f"cache: not used: {e.strerror or e}")
            return None
        with suppress(OSError):
            os.utime(self.root / kind / f"{key}{_INDEX}", follow_symlinks=False)
        return Hit(data)

    def put(self, kind: str, key: str, what: str, data: bytes | bytearray) -> None:
        """Keep a payload. `what` says for people what it was made from."""
        self._put(kind, key, what, sha256(data), lambda f: f.write_bytes(data))

    def put_file(self, kind: str, key: str, what: str, write: Callable[[Path], None]) -> None:
        """Keep a payload that `write` writes into the file it is given."""
        self._put(kind, key, what, None, write)

    def drop(self, kind: str, key: str) -> None:
        """Forget an entry; its payload goes with the next prune."""
        if self.root is not None:
            with suppress(OSError):
                (self.root / kind / f"{key}{_INDEX}").unlink()

    def entries(self) -> list[CacheEntry]:
        """Every entry, least recently used first."""
        if self.root is None:
            return []
        found = []
        for index in self._indices():
            with suppress(*_UNREADABLE):
                digest, what = _parsed(_read_own(index.name, index.parent, _MOST_INDEX))
                size = (self.root / _PAYLOADS / digest).lstat().st_size
                used = index.lstat().st_mtime
                found.append(CacheEntry(index.parent.name, index.stem, what, size, used))
        return sorted(found, key=lambda entry: entry.used)

    def size(self) -> int:
        """Bytes of all payloads."""
        return sum(size for _, size in self._payloads())

    def prune(self, bound: int | None = None) -> int:
        """Remove least recently used entries until all fit the bound; returns bytes freed."""
        if self.root is None:
            return 0
        bound = self._bound if bound is None else bound
        before = self.size()
        total = before
        for entry in self.entries():
            if total <= bound:
                break
            self.drop(entry.kind, entry.key)
            total -= entry.size
        self._sweep()
        return before - self.size()

    def clear(self) -> int:
        """Remove everything; returns bytes freed."""
        import shutil

        freed = self.size()
        if self.root is not None:
            for child in list(self.root.iterdir()) if self.root.is_dir() else []:
                if child.is_dir() and not child.is_symlink():
                    shutil.rmtree(child, ignore_errors=True)
        return freed

    def remove_leftovers(self, process: int) -> None:
        """Remove the temporary files of a process that was killed."""
        for path in self._temporaries():
            if path.name.startswith(f".{process}-"):
                with suppress(OSError):
                    path.unlink()

    def sweep(self) -> None:
        """Remove the temporary files of all processes that are no more."""
        for path in self._temporaries():
            number = path.name[1:].partition("-")[0]
            if number.isdigit() and not is_running(int(number)):
                with suppress(OSError):
                    path.unlink()

    def _temporaries(self) -> Iterator[Path]:
        for folder in self._folders():
            with suppress(OSError), os.scandir(folder) as files:
                yield from [Path(file.path) for file in files if file.name.startswith(".")]

    def _folders(self) -> list[Path]:
        """The folders of the cache that are this user's own: not what a link leads to."""
        found = []
        with suppress(OSError):
            if self.root is not None:
                _check_private(self.root)
                with os.scandir(self.root) as entries:
                    found = [Path(entry.path) for entry in entries if entry.is_dir()]
        return [folder for folder in found if _is_private(folder)]

    def _indices(self) -> list[Path]:
        return [index for folder in self._folders() for index in folder.glob(f"*{_INDEX}")]

    def _put(
        self, kind: str, key: str, what: str, digest: str | None, write: Callable[[Path], object]
    ) -> None:
        if self.root is None:
            return
        temporary: Path | None = None
        try:
            folder = _private_folder(self.root, self.root / _PAYLOADS)
            index = _private_folder(self.root, self.root / kind) / f"{key}{_INDEX}"
            temporary = _temporary(folder)
            write(temporary)
            with temporary.open("rb") as file:
                # by what was opened: the working process may change no mode by a name
                os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, 0o600)  # noqa: PTH101
                data = file.read()
            digest = digest or sha256(data)
            if len(data) > self._bound:
                self._tell(f"cache: {what} is larger than the cache may be")
                return
            temporary.replace(folder / digest)
            temporary = _temporary(index.parent)
            # a name need not be text
            index_text = f"{digest}\n{what}\n".encode(errors="backslashreplace")
            temporary.write_bytes(index_text)
            temporary.replace(index)
        except OSError as e:
            self._tell(f"cache: cannot keep {what}: {e.strerror or e}")
            return
        finally:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
        if self.size() > self._bound:
            self.prune()

    def _payloads(self) -> Iterator[tuple[Path, int]]:
        if self.root is None or not _is_private(self.root / _PAYLOADS):
            return
        with suppress(OSError), os.scandir(self.root / _PAYLOADS) as files:
            for file in files:
                with suppress(OSError):
                    yield Path(file.path), file.stat(follow_symlinks=False).st_size

    def _sweep(self) -> None:
        """Remove payloads that no entry names, and temporary files that nobody finished."""
        assert self.root is not None
        named = set()
        for index in self._indices():
            with suppress(*_UNREADABLE):
                named.add(_parsed(_read_own(index.name, index.parent, _MOST_INDEX))[0])
        now = time.time()
        for path, _ in self._payloads():
            with suppress(OSError):
                # another process may be between writing its payload and naming it
                young = now - path.stat().st_mtime < _STALE_SECONDS
                if path.name not in named and not (path.name.startswith(".") and young):
                    path.unlink()


@contextmanager
def _own_folders(root: Path, *names: str) -> Iterator[list[int | Path]]:
    """Folders of the cache, each checked when it was open; where a system has no descriptors of
    folders, their paths.

    Raises OSError for one that is missing, a link, or open to others.
    """
    if os.open not in os.supports_dir_fd:
        for folder in (root, *(root / name for name in names)):
            _check_private(folder)
        yield [root / name for name in names]
        return
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    about = root.lstat()
    if stat.S_ISLNK(about.st_mode) and about.st_uid not in (os.getuid(), 0):
        raise PermissionError(13, f"{root} is a link of another user")
    opened: list[int] = []
    try:
        opened.append(os.open(root, flags))
        _check(os.fstat(opened[0]), root)
        for name in names:
            opened.append(os.open(name, flags | os.O_NOFOLLOW, dir_fd=opened[0]))
            _check(os.fstat(opened[-1]), root / name)
        yield [*opened[1:]]
    except NotADirectoryError:
        raise PermissionError(13, f"a folder in {root} is a link, or no folder") from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _read_own(name: str, folder: int | Path, most: int) -> bytes:
    """The bytes, at most so many, of a regular file that belongs to this user and nobody else may
    write. A process of this user's that was taken over may have left anything in its place.

    Raises OSError or ValueError when it is not.
    """
    # a pipe in a file's place is opened without waiting for somebody to write into it
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    flags |= getattr(os, "O_BINARY", 0)
    if isinstance(folder, int):
        descriptor = os.open(name, flags, dir_fd=folder)
    else:
        descriptor = os.open(folder / name, flags)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is not a regular file")
        if hasattr(os, "getuid"):
            if about.st_uid != os.getuid():
                raise ValueError("it belongs to another user")
            if about.st_mode & 0o022:
                raise ValueError("others may write to it")
        if about.st_size > most:
            raise ValueError(f"it has more than {most} bytes")
        return file.read()


def _private_folder(root: Path, folder: Path) -> Path:
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_private(root)
    folder.mkdir(mode=0o700, exist_ok=True)
    _check(folder.lstat(), folder)
    return folder


def _is_private(folder: Path) -> bool:
    with suppress(OSError):
        _check(folder.lstat(), folder)
        return True
    return False


def _check_private(root: Path) -> None:
    """Who may write to the folder could exchange one entry for another. Raises OSError."""
    about = root.lstat()
    if stat.S_ISLNK(about.st_mode) and hasattr(os, "getuid"):
        # a user's own link to another disk is as good as a folder
        if about.st_uid not in (os.getuid(), 0):
            raise PermissionError(13, f"{root} is a link of another user")
        about = root.stat()
    _check(about, root)


def _check(about: os.stat_result, folder: Path) -> None:
    """That a folder is one, of this user, and open to no other. Raises OSError."""
    if not stat.S_ISDIR(about.st_mode):
        raise PermissionError(13, f"{folder} is a link, or no folder")
    if hasattr(os, "getuid"):
        if about.st_uid != os.getuid():
            raise PermissionError(13, f"{folder} belongs to another user")
        if about.st_mode & 0o022:
            raise PermissionError(13, f"others may write to {folder}")


def _temporary(folder: Path) -> Path:
    # as tempfile.mkstemp, whose import takes longer than a cache hit
    path = folder / f".{os.getpid()}-{os.urandom(8).hex()}"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    return path


def _parsed(index: bytes) -> tuple[str, str]:
    """The payload's digest and what it was made from. Raises ValueError."""
    digest, newline, what = index.decode().partition("\n")
    if not newline or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise ValueError("its index is malformed")
    return digest, what.rstrip("\n")
