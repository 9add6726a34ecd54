"""Messages between a process and the child that works for it, over a socket.

A message is a JSON object and byte strings. The child handles hostile input and may have been
taken over: what it sends is measured before it is read, and is never more than text, numbers and
bytes.
"""

from __future__ import annotations

import json
import math
import socket
import struct
import time
from collections.abc import Mapping
from typing import Any

from wasmlrun.support.records import NOTHING, Record

_HEADER = struct.Struct("<II")  # bytes of the JSON text, number of byte strings
_SIZE = struct.Struct("<Q")
_MOST_PARTS = 16


class Malformed(Exception):
    """What came is no message."""


class Closed(Exception):
    """The other end is closed."""


class Message(Record):
    """A question or an answer."""

    head: Mapping[str, Any]
    parts: tuple[bytes | bytearray | memoryview, ...] = ()


EMPTY = Message(NOTHING)


class Channel:
    """One end. Deadlines are times of the monotonic clock; past them TimeoutError is raised."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message, deadline: float = math.inf) -> None:
        """Send a message whole. Raises Closed, TimeoutError."""
        head = json.dumps(dict(message.head), ensure_ascii=False).encode("utf-8", "surrogatepass")
        sizes = [_SIZE.pack(len(part)) for part in message.parts]
        start = b"".join((_HEADER.pack(len(head), len(message.parts)), *sizes, head))
        try:
            for data in (start, *message.parts):
                self._end.settimeout(_patience(deadline))
                self._end.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def receive(self, most: int, deadline: float = math.inf) -> Message:
        """The next message, of at most so many bytes.

        Raises:
            Closed: there will be none. Malformed: it is none. TimeoutError: it did not come.
        """
        size, count = _HEADER.unpack(self._exactly(_HEADER.size, deadline))
        if count > _MOST_PARTS:
            raise Malformed(f"a message of {count} parts")
        sizes = _SIZE.iter_unpack(self._exactly(_SIZE.size * count, deadline))
        lengths = [length for (length,) in sizes]
        if size + sum(lengths) > most:
            raise Malformed(f"a message of {size + sum(lengths)} bytes, {most} may be")
        text = self._exactly(size, deadline)
        try:
            head = json.loads(text.decode("utf-8", "surrogatepass"))
        except (ValueError, RecursionError) as e:
            raise Malformed(f"no JSON: {e}") from e
        if not isinstance(head, dict):
            raise Malformed("no JSON object")
        return Message(head, tuple(self._exactly(length, deadline) for length in lengths))

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._end.close()

    def _exactly(self, size: int, deadline: float) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            self._end.settimeout(_patience(deadline))
            try:
                count = self._end.recv_into(view)
            except ConnectionResetError as e:
                raise Closed from e
            if not count:
                raise Closed
            view = view[count:]
        return data


def _patience(deadline: float) -> float | None:
    if deadline == math.inf:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
