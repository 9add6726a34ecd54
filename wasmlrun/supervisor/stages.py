"""What a process is doing, kept where its supervisor can read it after the process died.

Native code parses models and pictures; when it crashes, nothing in the process can say so.
The board is shared memory: a slot is taken while a stage runs and freed when it ends.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

from wasmlrun.supervisor.outbox import Letter, Outbox
from wasmlrun.support.records import Record


class Stage(IntEnum):
    """Stages that native code may not survive, the most telling first."""

    MODEL = 1
    """Reading or compiling a model."""
    INFERENCE = 2
    IMAGE = 3
    """Decoding a picture."""
    GUEST = 4


_STAGES = frozenset(Stage)


class Doing(Record):
    """One stage that had begun and not ended."""

    stage: Stage
    what: str


_HEADER = struct.Struct(
    "<ddIi???"
)  # timeout, deadline, images done, exit code so far, careful, unterminated, ended
_MOST_DONE = (1 << 32) - 1
_SLOT = struct.Struct("<BH")
_TEXT = 400
_SLOT_SIZE = _SLOT.size + _TEXT
_SLOTS = 32
_TOTAL = _HEADER.size + _SLOTS * _SLOT_SIZE


class Board:
    """Deadline, progress and running stages of one command."""

    def __init__(self, memory: int = -1) -> None:
        """`memory` is a descriptor of `shared_memory`; without one the board is shared with
        children that are forked off, and what they write their parent reads.
        """
        self._memory = mmap.mmap(memory, _TOTAL)
        self._lock = threading.Lock()
        self.outbox: Outbox | None = None
        """In a child: where its answers go."""

    def close(self) -> None:
        """Give the memory and its descriptor back; nothing is asked or said afterwards."""
        self._memory.close()

    @contextmanager
    def doing(self, stage: Stage, what: str) -> Iterator[None]:
        """Say that a stage runs while the block does."""
        data = what.encode(errors="replace")[:_TEXT]
        with self._lock:
            slot = next((s for s in range(_SLOTS) if not self._memory[_offset(s)]), None)
            if slot is not None:
                at = _offset(slot) + _SLOT.size
                self._memory[at : at + len(data)] = data
                _SLOT.pack_into(self._memory, _offset(slot), stage, len(data))
        try:
            yield
        finally:
            if slot is not None:
                self._memory[_offset(slot)] = 0

    def running(self) -> list[Doing]:
        """Stages that have not ended, the most telling first."""
        found = []
        for slot in range(_SLOTS):
            stage, size = _SLOT.unpack_from(self._memory, _offset(slot))
            # a child that was taken over may have written anything
            if stage in _STAGES:
                at = _offset(slot) + _SLOT.size
                text = self._memory[at : at + min(size, _TEXT)].decode(errors="replace")
                found.append(Doing(Stage(stage), text))
        return sorted(found, key=lambda doing: doing.stage)

    def clear(self) -> None:
        """Forget the stages, for a new process that begins with none."""
        for slot in range(_SLOTS):
            self._memory[_offset(slot)] = 0

    @property
    def timeout(self) -> float:
        """The time limit in seconds."""
        return self._header()[0]

    @timeout.setter
    def timeout(self, value: float) -> None:
        self._set(timeout=value)

    @property
    def deadline(self) -> float:
        """When all must be over, on the monotonic clock; 0 when that is not known yet."""
        return self._header()[1]

    @deadline.setter
    def deadline(self, value: float) -> None:
        self._set(deadline=value)

    def lower_timeout(self, seconds: float) -> None:
        """A time limit that became known later; the clock runs since the work began."""
        if not self.deadline:
            self._set(timeout=seconds, deadline=time.monotonic() + seconds)
        elif seconds < self.timeout:
            self._set(timeout=seconds, deadline=self.deadline - self.timeout + seconds)

    @property
    def done(self) -> int:
        """How many images have been reported."""
        return self._header()[2]

    @property
    def code(self) -> int:
        """The exit code of what has been reported."""
        return self._header()[3]

    def deliver(self, letter: Letter) -> None:
        """Have an image's answer written to the streams, and counted, exactly once.

        Raises OSError when it cannot be written.
        """
        if self.outbox is not None:
            self.outbox.send(letter)
            return
        for stream, data in ((sys.stdout, letter.out), (sys.stderr, letter.err)):
            stream.write(data.decode(errors="surrogateescape"))
            stream.flush()
        self.report(self.done + 1, letter.code)

    def report(self, done: int, code: int) -> None:
        """Say how many images have been reported and with which exit code."""
        self._set(done=min(done, _MOST_DONE), code=code)

    @property
    def careful(self) -> bool:
        """Whether to do one thing at a time, so that a crash has one culprit."""
        return self._header()[4]

    @careful.setter
    def careful(self, value: bool) -> None:
        self._set(careful=value)

    @property
    def ended(self) -> bool:
        """Whether the process came to its own end, whatever its exit code says."""
        return self._header()[6]

    @ended.setter
    def ended(self, value: bool) -> None:
        self._set(ended=value)

    @property
    def unterminated(self) -> bool:
        """Whether a guest left a line on stderr without its end."""
        return self._header()[5]

    @unterminated.setter
    def unterminated(self, value: bool) -> None:
        self._set(unterminated=value)

    def _header(self) -> tuple[float, float, int, int, bool, bool, bool]:
        return _HEADER.unpack_from(self._memory, 0)

    def _set(self, **values: float) -> None:
        names = ("timeout", "deadline", "done", "code", "careful", "unterminated", "ended")
        current = dict(zip(names, self._header(), strict=True))
        _HEADER.pack_into(self._memory, 0, *(current | values).values())


def shared_memory() -> int:
    """A descriptor of memory for a Board, to be handed to a child."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("wasmlrun-board")
    else:
        import tempfile

        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, _TOTAL)
    return descriptor


def _offset(slot: int) -> int:
    return _HEADER.size + slot * _SLOT_SIZE
