"""Files that others name, read whole: regular, of bounded size, beneath the folder they belong to.

A path in a manifest, or one that was found beside a file, may be a symbolic link to anything that
this user may read. Such a path is opened beneath a folder: a link that stays in it is followed, one
that leads out is refused, whoever changes the folder meanwhile. Linux does that in one call
(openat2); elsewhere each part of the path is opened by itself.

Nothing here waits: a pipe or a device in a file's place is refused, not opened for reading.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from contextlib import suppress
from pathlib import Path

_CHUNK = 1 << 20
_MOST_LINKS = 40
_NO_WAITING = (
    getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_FOLDER = getattr(os, "O_DIRECTORY", 0)
# to pass through a folder it need not be readable
_PASS = getattr(os, "O_PATH", os.O_RDONLY)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

# linux/openat2.h; the call has this number on every architecture
_OPENAT2 = 437
_NO_MAGIC_LINKS = 0x02
_BENEATH = 0x08


class Outside(OSError):
    """The path leads out of the folder that it must stay in."""

    hint = "if you trust what names it, say --allow-outside"

    def __init__(self, path: Path, within: Path) -> None:
        super().__init__(errno.EXDEV, f"it leads out of the folder {within}", str(path))


class NotRegular(OSError):
    """There is something, and it is no regular file."""

    def __init__(self, path: Path, what: str) -> None:
        super().__init__(errno.EINVAL, f"it is {what}, not a regular file", str(path))


class TooLarge(OSError):
    """The file has more bytes than are read."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(errno.EFBIG, f"it has more than {most} bytes", str(path))


def read(path: Path, most: int, *, within: Path | None = None, pipe: bool = False) -> bytes:
    """The bytes of a regular file, of which there are at most so many.

    `within` is the folder that the path must lie and stay in; links above it are followed. With
    `pipe` the file may also be one end of a pipe, which is read until it ends.

    Raises:
        Outside, NotRegular, TooLarge, OSError: as `open_file`, or it cannot be read.
    """
    descriptor = open_file(path, within=within, pipe=pipe)
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, no path
        size = os.fstat(descriptor).st_size
        if size > most:
            raise TooLarge(path, most)
        data = file.read(size) if size else b""
        # the size is what it was a moment ago, and for some files of the system's it is 0
        chunk = file.read(_CHUNK)
        if not chunk:
            return data
        parts, total = [data], len(data)
        while chunk:
            parts.append(chunk)
            total += len(chunk)
            if total > most:
                raise TooLarge(path, most)
            chunk = file.read(_CHUNK)
        return b"".join(parts)


def open_file(path: Path, *, within: Path | None = None, pipe: bool = False) -> int:
    """A descriptor of a regular file, opened for reading.

    Raises:
        Outside: the path leads out of `within`. NotRegular: it is something else.
        IsADirectoryError, OSError: it is a folder, is missing, or may not be read.
    """
    _check_name(path)
    if pipe and within is None and stat.S_ISFIFO(path.stat().st_mode):
        return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    descriptor = _opened(path, within, os.O_RDONLY)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise NotRegular(path, _kind(mode))
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def open_folder(path: Path, *, within: Path | None = None) -> int:
    """A descriptor of a folder. Raises Outside, NotADirectoryError, OSError."""
    return _opened(path, within, os.O_RDONLY | _FOLDER)


def open_place(path: Path, within: Path, *, folder: bool = True) -> int:
    """A descriptor of a folder, or else a file, whatever links lead to it, as long as it lies in
    `within`: unlike `open_folder` it may be reached by a link that begins at the root.

    Raises as `open_folder` and `open_file` do.
    """
    place, root = Path(os.path.realpath(path)), Path(os.path.realpath(within))
    try:
        return open_folder(place, within=root) if folder else open_file(place, within=root)
    except Outside:
        raise Outside(path, within) from None


def check_file(path: Path, *, within: Path | None = None) -> None:
    """Whether a file could be read. Raises as `open_file`."""
    os.close(open_file(path, within=within))


def _check_name(path: Path) -> None:
    """Of a name with a NUL the kernel would see the beginning. Raises OSError."""
    if "\0" in str(path):
        raise OSError(errno.EINVAL, "a name with a NUL character", str(path))


def _opened(path: Path, within: Path | None, flags: int) -> int:
    _check_name(path)
    flags |= _NO_WAITING
    if within is None:
        if os.name == "nt" and path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        return os.open(path, flags)
    try:
        inner = Path(os.path.normpath(path)).relative_to(os.path.normpath(within))
    except ValueError:
        raise Outside(path, within) from None
    if os.open not in os.supports_dir_fd:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(within)):
            raise Outside(path, within)
        return os.open(path, flags)
    root = os.open(within, _PASS | _FOLDER | getattr(os, "O_CLOEXEC", 0))
    try:
        found = _by_the_kernel(root, inner, flags)
        return found if found is not None else _step_by_step(root, inner, flags)
    except OSError as e:
        if e.errno == errno.EXDEV:
            raise Outside(path, within) from None
        # the path as the user knows it
        raise type(e)(e.errno, e.strerror, str(path)) from None
    finally:
        os.close(root)


def _by_the_kernel(root: int, inner: Path, flags: int) -> int | None:
    """openat2; None where there is none. Raises OSError, EXDEV for what leads out."""
    if sys.platform != "linux":
        return None
    import ctypes

    how = (ctypes.c_uint64 * 3)(flags, 0, _BENEATH | _NO_MAGIC_LINKS)
    call = ctypes.CDLL(None, use_errno=True).syscall
    name = os.fsencode(inner)
    for _ in range(_MOST_LINKS):
        found = call(
            ctypes.c_long(_OPENAT2),
            ctypes.c_int(root),
            ctypes.c_char_p(name),
            ctypes.byref(how),
            ctypes.c_size_t(ctypes.sizeof(how)),
        )
        if found >= 0:
            return int(found)
        number = ctypes.get_errno()
        if number in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a container's filter
            return None
        if number not in (errno.EAGAIN, errno.EINTR):  # something was moved meanwhile
            raise OSError(number, os.strerror(number))
    return None


def _step_by_step(root: int, inner: Path, flags: int) -> int:
    """The same by opening each part in the one before it, links read by hand. Raises OSError."""
    entered = [root]
    waiting = list(inner.parts)
    links = 0
    try:
        while waiting:
            part = waiting.pop(0)
            if part in ("", "."):
                continue
            if part == "..":
                if len(entered) == 1:
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
                os.close(entered.pop())
                continue
            step = flags if not waiting else _PASS | _FOLDER | getattr(os, "O_CLOEXEC", 0)
            try:
                found = os.open(part, step | _NO_LINK, dir_fd=entered[-1])
            except OSError as e:
                target = _link(part, entered[-1])
                if target is None:
                    raise
                links += 1
                if links > _MOST_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from e
                if target.startswith("/"):
                    raise OSError(errno.EXDEV, os.strerror(errno.EXDEV)) from e
                waiting[:0] = target.split("/")
                continue
            if not waiting:
                return found
            entered.append(found)
        return os.open(".", flags, dir_fd=entered[-1])
    finally:
        for descriptor in entered[1:]:
            os.close(descriptor)


def _link(name: str, folder: int) -> str | None:
    """Where a symbolic link leads; None when it is none."""
    with suppress(OSError):
        return os.readlink(name, dir_fd=folder)
    return None


def _kind(mode: int) -> str:
    kinds = {
        stat.S_ISFIFO: "a pipe",
        stat.S_ISCHR: "a device",
        stat.S_ISBLK: "a device",
        stat.S_ISSOCK: "a socket",
    }
    return next((name for is_kind, name in kinds.items() if is_kind(mode)), "something else")
