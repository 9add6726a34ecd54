"""Answers on their way from the child, which may die at any moment, to the streams.

The child hands over whole answers, one at a time, and waits until each is written; the parent,
which does not die, writes them and counts. So an answer is written once, whenever the child is
killed: one that was handed over whole is written though its child is dead, half a one is dropped.
"""

from __future__ import annotations

import errno
import os
import struct
from collections import deque

from wasmlrun.support.records import Record

_HEAD = struct.Struct("<iII")  # exit code so far, bytes for stdout, bytes for stderr
_ACK = struct.Struct("<i")  # 0, or what the system said
MOST = 1 << 28
"""Bytes of one answer: a child that sends more is not the program that was started."""
_AT_ONCE = 4096
"""A pipe that can be written to takes so much without waiting (PIPE_BUF)."""


class Letter(Record):
    """An answer: the exit code so far, and what stdout and stderr are to hear of it."""

    code: int
    out: bytes
    err: bytes


class Outbox:
    """The child's end, which waits for each answer to be written."""

    def __init__(self, letters: int, answers: int) -> None:
        self._letters = letters
        self._answers = answers

    def send(self, letter: Letter) -> None:
        """Hand over an answer and wait until it is written. Raises OSError as writing it did."""
        data = _HEAD.pack(letter.code, len(letter.out), len(letter.err)) + letter.out + letter.err
        view = memoryview(data)
        while view:
            view = view[os.write(self._letters, view) :]
        told = os.read(self._answers, _ACK.size)
        (number,) = _ACK.unpack(told)
        if number:
            raise OSError(number, os.strerror(number))


class Inbox:
    """The parent's end, and what is still to be written."""

    def __init__(self) -> None:
        self.letters, self._child_letters = os.pipe()
        self._child_answers, self._answers = os.pipe()
        self._arrived = bytearray()
        self._code: int | None = None
        self._waiting: deque[tuple[int, memoryview]] = deque()
        self._ended = False

    def for_child(self) -> Outbox:
        """In the child: its end, the parent's closed."""
        os.close(self.letters)
        os.close(self._answers)
        return Outbox(self._child_letters, self._child_answers)

    def for_parent(self) -> None:
        """In the parent: the child's end closed."""
        os.close(self._child_letters)
        os.close(self._child_answers)

    def close(self) -> None:
        """Close the parent's end."""
        os.close(self.letters)
        os.close(self._answers)

    @property
    def ended(self) -> bool:
        """Whether the child will send nothing more."""
        return self._ended

    @property
    def writing(self) -> int | None:
        """The descriptor that the next part of an answer goes to; None when there is none."""
        return self._waiting[0][0] if self._waiting else None

    def receive(self) -> bool:
        """Read what the child sent; it is there, or the child's end is closed.

        False for what cannot be an answer.
        """
        data = os.read(self.letters, 1 << 16)
        if not data:
            self._ended = True
            return True
        self._arrived += data
        if len(self._arrived) < _HEAD.size:
            return True
        code, out, err = _HEAD.unpack_from(self._arrived)
        if out + err > MOST:
            self._arrived.clear()
            return False
        if len(self._arrived) >= _HEAD.size + out + err:
            body = bytes(self._arrived[_HEAD.size : _HEAD.size + out + err])
            # the child waits for its answer: nothing follows yet
            self._arrived.clear()
            self._code = code
            parts = ((1, body[:out]), (2, body[out:]))
            self._waiting.extend((number, memoryview(part)) for number, part in parts if part)
        return True

    def write(self) -> None:
        """Write a part to the descriptor that is `writing`; it can take something."""
        number, data = self._waiting[0]
        try:
            done = os.write(number, data[:_AT_ONCE])
        except OSError as e:
            if number == 2:  # nobody hears messages; the answer counts
                done = len(data)
            else:
                self._waiting.clear()
                self._code = None
                self.tell(e.errno or errno.EIO)
                return
        if done < len(data):
            self._waiting[0] = (number, data[done:])
        else:
            self._waiting.popleft()

    def written(self) -> int | None:
        """The exit code of an answer that is now written whole, once; None when there is none."""
        if self._waiting or self._code is None:
            return None
        code, self._code = self._code, None
        return code

    def tell(self, number: int) -> None:
        """Answer the child, if it is still there."""
        try:
            os.write(self._answers, _ACK.pack(number))
        except BrokenPipeError:
            self._ended = True
