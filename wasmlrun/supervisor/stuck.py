"""Whether a process can never go on: its threads wait for each other, and none of them for time.

A crash in native code may end so. wasmtime catches the signal of every crash, to see whether it was
a guest's, and asks the C library for the thread's own memory on the way: in a thread that was
allocating memory when it crashed, it waits for a lock that this very thread holds.

The kernel says it of each thread (Linux). No thread is woken from outside in a wait for another
one. When two looks find all threads in the very same waits, and none of them ran in between, none
ever will. Python's threads ask for the interpreter two hundred times a second, which is time that
they wait for; of those, more looks are needed to be sure.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from pathlib import Path

from wasmlrun.support.records import Record

BETWEEN = 1.0
"""Seconds between two looks, and before the first one."""
_LOOKS, _LOOKS_WITH_ASKING = 2, 6
_ASKING = 50
"""Waits a second that are no sleep of a program's."""
_CALLS = {"x86_64": ("202", "0"), "aarch64": ("98", "63")}
"""The system calls futex and read, by architecture."""


class Wait(Record):
    """What a thread waits for."""

    call: str
    """The system call and its arguments."""
    ends: bool
    """Whether with time."""
    count: int
    """How often the thread has waited so far, for whatever."""


class Watch:
    """Looks at a process now and then."""

    def __init__(self, process: int, aside: int | None = None) -> None:
        """Begins to count the time. A thread that reads from the descriptor `aside` of the process
        is none of those that work.
        """
        self._process = process
        self._aside = aside
        self._next = time.monotonic() + BETWEEN
        self._last: dict[str, Wait] | None = None
        self._looks = 1

    def stuck(self) -> bool:
        """Whether it is; looks when a second has passed."""
        if time.monotonic() < self._next:
            return False
        before, self._last = self._last, waits(self._process, self._aside)
        self._next = time.monotonic() + BETWEEN
        self._looks = self._looks + 1 if _same(before, self._last) else 1
        asking = any(wait.ends for wait in (self._last or {}).values())
        return self._looks >= (_LOOKS_WITH_ASKING if asking else _LOOKS)


def _same(before: dict[str, Wait] | None, now: dict[str, Wait] | None) -> bool:
    """Whether no thread has done anything in between but wait."""
    if before is None or now is None or before.keys() != now.keys():
        return False
    for name, wait in now.items():
        earlier = before[name]
        if wait.ends != earlier.ends:
            return False
        if wait.ends and wait.count - earlier.count < _ASKING * BETWEEN:
            return False  # it sleeps
        if not wait.ends and (wait.call, wait.count) != (earlier.call, earlier.count):
            return False
    # somebody has to be waited for
    return any(not wait.ends for wait in now.values())


def waits(process: int, aside: int | None = None) -> dict[str, Wait] | None:
    """By its number, what each thread of a process waits for; None when not all wait for others."""
    if sys.platform != "linux":
        return None
    with suppress(OSError, ValueError, LookupError):
        futex, read = _CALLS[os.uname().machine]
        found = {}
        for task in Path(f"/proc/{process}/task").iterdir():
            words = (task / "syscall").read_text().split()
            if words[0] == read and int(words[1], 16) == aside:
                continue
            if words[0] != futex or (task / "stat").read_text().rpartition(") ")[2][0] != "S":
                return None  # it goes on, or was stopped
            status = (task / "status").read_text().split()
            count = int(status[status.index("voluntary_ctxt_switches:") + 1])
            # the fourth argument is the time limit
            found[task.name] = Wait(" ".join(words), int(words[4], 16) != 0, count)
        return found
    return None
