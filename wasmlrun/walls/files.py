"""Which files the working process may still open: Landlock, by folder, for reading or for writing.

What was opened before stays open, and pipes are no files. The kernel says which version of
Landlock it has; each adds rights that can be withheld.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.walls.system import architecture, call

# linux/landlock.h
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REG, _MAKE_SYM = 1 << 7, 1 << 8, 1 << 12
_FIRST = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_BIND_TCP, _CONNECT_TCP = 1 << 0, 1 << 1
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_VERSION, _PATH_BENEATH = 1, 1

_READ = _READ_FILE | _READ_DIR
_WRITE = (
    _READ
    | _WRITE_FILE
    | _TRUNCATE
    | _REFER
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REG
    | _MAKE_SYM
)
_ON_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _EXECUTE | _IOCTL_DEV


def version() -> int:
    """The kernel's version of Landlock; 0 where there is none."""
    if architecture() is None:
        return 0
    try:
        return call("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def restrict_files(
    reading: Iterable[Path],
    writing: Iterable[tuple[Path, Path | None]],
    devices: Iterable[Path] = (),
    *,
    network: bool = False,
) -> None:
    """Leave this thread, and all that it starts, these files and what is beneath these folders.

    What is for writing may have to lie in a folder, whatever its name leads to by now. Paths that
    do not exist are left out. Nothing may be executed and, without `network`, no TCP connection
    made.

    Raises OSError where the kernel has no Landlock.
    """
    known = version()
    if known == 0:
        raise OSError(errno.ENOSYS, "this kernel has no Landlock")
    handled = _FIRST | (_REFER if known >= 2 else 0) | (_TRUNCATE if known >= 3 else 0)
    handled |= _IOCTL_DEV if known >= 5 else 0
    tcp = _BIND_TCP | (0 if network else _CONNECT_TCP) if known >= 4 else 0
    scope = _ABSTRACT_SOCKETS | _SIGNALS if known >= 6 else 0
    fields = struct.pack("<QQQ", handled, tcp, scope)
    # a kernel takes the fields that it knows
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    rules = call("landlock_create_ruleset", ctypes.c_char_p(fields), size, 0)
    try:
        for places, rights in (
            ([(path, None) for path in reading], _READ),
            (writing, _WRITE),
            ([(path, None) for path in devices], _READ | _WRITE_FILE | _IOCTL_DEV),
        ):
            for path, within in places:
                # what is missing, leads out or is no file at all stays closed
                with suppress(OSError):
                    _allow(rules, path, within, rights & handled)
        call("landlock_restrict_self", rules, 0)
    finally:
        os.close(rules)


def _allow(rules: int, path: Path, within: Path | None, rights: int) -> None:
    if within is None:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    else:
        place = beneath.open_place(path, within)
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _ON_A_FILE
        # packed: 8 bytes of rights, 4 of descriptor
        rule = struct.pack("<Qi", rights, place)
        call("landlock_add_rule", rules, _PATH_BENEATH, ctypes.c_char_p(rule), 0)
    finally:
        os.close(place)
