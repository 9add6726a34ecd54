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

from wasmlrun.support.errors import WorkerFailed
from wasmlrun.support.records import NOTHING, Record

_HEADER = struct.Struct("<II")  # bytes of the JSON text, number of byte strings
_SIZE = struct.Struct("<Q")
_MOST_PARTS = 16
_AT_ONCE = 1 << 16
"""Bytes that are read and sent in one go; a socket has room for more."""


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
        self._ahead = bytearray()
        """What was read and not yet asked for."""
        self._patience = end.gettimeout()

    def fileno(self) -> int:
        """The descriptor of this end; it can be read when something comes."""
        return self._end.fileno()

    def send(self, message: Message, deadline: float = math.inf) -> None:
        """Send a message whole. Raises Closed, TimeoutError."""
        start = _start(message)
        try:
            for data in _joined(start, message):
                self._wait_until(deadline)
                self._end.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e

    def send_now(self, message: Message) -> bool:
        """Send a message if that takes no waiting. Raises Closed."""
        first, *others = _joined(_start(message), message)
        if others:
            return False
        self._wait_until(math.inf)
        try:
            sent = self._end.send(first, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except (BrokenPipeError, ConnectionResetError) as e:
            raise Closed from e
        if sent < len(first):  # the other end reads it as fast as it is sent
            self._end.sendall(memoryview(first)[sent:])
        return True

    def arrived(self) -> bool:
        """Whether a whole message is there, of those that are small. Reads what came."""
        self._wait_until(math.inf)
        try:
            data = self._end.recv(_AT_ONCE, socket.MSG_DONTWAIT)
        except (BlockingIOError, ConnectionResetError):
            return False
        self._ahead += data
        return _is_whole(self._ahead)

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long: no part of a message, and not the end."""
        if self._ahead:
            return False
        self._wait_until(time.monotonic() + seconds)
        try:
            self._end.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        except ConnectionResetError:
            return False
        return False

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
        head = _head(self._exactly(size, deadline))
        return Message(head, tuple(self._exactly(length, deadline) for length in lengths))

    def close(self) -> None:
        """Close this end; the other one notices."""
        self._end.close()

    def _exactly(self, size: int, deadline: float) -> bytearray:
        if len(self._ahead) < size <= _AT_ONCE:
            self._read_ahead(size, deadline)
        data = self._ahead[:size]
        del self._ahead[:size]
        if len(data) == size:
            return data
        at = len(data)
        data += bytes(size - at)
        view = memoryview(data)[at:]
        while view:
            self._wait_until(deadline)
            try:
                count = self._end.recv_into(view)
            except ConnectionResetError as e:
                raise Closed from e
            if not count:
                raise Closed
            view = view[count:]
        return data

    def _read_ahead(self, size: int, deadline: float) -> None:
        """Read until so many bytes are there, and what comes with them."""
        while len(self._ahead) < size:
            self._wait_until(deadline)
            try:
                data = self._end.recv(_AT_ONCE)
            except ConnectionResetError as e:
                raise Closed from e
            if not data:
                raise Closed
            self._ahead += data

    def _wait_until(self, deadline: float) -> None:
        """How long the next operation may take. Raises TimeoutError."""
        patience = _patience(deadline)
        if patience != self._patience:  # each change is a call of the system
            self._end.settimeout(patience)
            self._patience = patience


def packed(message: Message) -> bytes:
    """A message as bytes, for a file."""
    return b"".join((_start(message), *message.parts))


def unpacked(data: bytes) -> Message:
    """The message that these bytes are. Raises Malformed."""
    if not _is_whole(data):
        raise Malformed("a part of a message")
    size, count = _HEADER.unpack_from(data)
    at = _HEADER.size + _SIZE.size * count
    lengths = [length for (length,) in _SIZE.iter_unpack(data[_HEADER.size : at])]
    if at + size + sum(lengths) != len(data):
        raise Malformed("more than a message")
    head, at = _head(data[at : at + size]), at + size
    parts = []
    for length in lengths:
        parts.append(data[at : at + length])
        at += length
    return Message(head, tuple(parts))


def failure_of(malformed: Malformed) -> WorkerFailed:
    """The error for a child whose answer is none: it is no longer the program that was started."""
    return WorkerFailed(
        f"the process that did the work answered with {malformed}",
        "the model or the picture may have been made to attack; do not use it",
    )


def _head(text: bytes | bytearray) -> dict[str, Any]:
    try:
        head = json.loads(text.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as e:
        raise Malformed(f"no JSON: {e}") from e
    if not isinstance(head, dict):
        raise Malformed("no JSON object")
    return head


def _start(message: Message) -> bytes:
    """All of a message but its byte strings."""
    head = json.dumps(dict(message.head), ensure_ascii=False).encode("utf-8", "surrogatepass")
    sizes = [_SIZE.pack(len(part)) for part in message.parts]
    return b"".join((_HEADER.pack(len(head), len(message.parts)), *sizes, head))


def _joined(start: bytes, message: Message) -> tuple[bytes | bytearray | memoryview, ...]:
    """A message in the pieces in which it is sent: a small one in one."""
    if len(start) + sum(map(len, message.parts)) <= _AT_ONCE:
        return (b"".join((start, *message.parts)),)
    return (start, *message.parts)


def _is_whole(data: bytes | bytearray) -> bool:
    """Whether data begin with a whole message."""
    if len(data) < _HEADER.size:
        return False
    size, count = _HEADER.unpack_from(data)
    end = _HEADER.size + _SIZE.size * count
    if count > _MOST_PARTS or len(data) < end:
        return False
    lengths = (length for (length,) in _SIZE.iter_unpack(data[_HEADER.size : end]))
    return bool(len(data) >= end + size + sum(lengths))


def _patience(deadline: float) -> float | None:
    if deadline == math.inf:
        return None
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
