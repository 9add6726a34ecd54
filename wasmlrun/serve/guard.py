"""What no client may do to the server: huge heads, slow heads and bodies, bodies without end.

And what HTTP wants of a server that uvicorn leaves open: what trails a body is no header (RFC 9110,
6.5.1), the target's host is the request's (RFC 9112, 3.2.2), answers come in the order of requests.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_HEAD = 64 << 10
"""Bytes of a request's line and headers."""
HEAD_SECONDS = 10.0
"""From a connection's start, or a request's first byte, to the end of its headers."""
BODY_SECONDS = 30.0
LINGER_SECONDS = 5.0
"""For which the rest of a body may still come whose request was answered without it."""
SEND_SECONDS = 30.0
"""For which a client may read nothing of its answer."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a limit on the size and the time of a request's head.

    uvicorn has neither for this parser; without them a client holds a connection, or fills the
    memory, for as long as it likes.
    """

    _head: int
    """Bytes of the head that comes; -1 while a body comes."""
    _trailer: int
    _deaf: bool
    """Whether what comes now is read no more: an earlier request is still to be answered."""
    _timer: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._head = self._trailer = 0
        self._deaf = False
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop()
        self._go_on()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads more slowly than is written: from here on it has to read something."""
        super().pause_writing()
        if self._stalled is None:
            self._expect_progress()

    def resume_writing(self) -> None:
        """The client has read what was waiting for it."""
        self._go_on()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        """Count what comes until the headers are complete."""
        if self._deaf:
            return
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > MAX_HEAD and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """A request begins; on a connection that was kept, a new clock."""
        super().on_message_begin()
        if self._timer is None:
            self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what trails a body is none, and is counted only."""
        if self._head >= 0:
            super().on_header(name, value)
            return
        self._trailer += len(name) + len(value)
        if self._trailer > MAX_HEAD and not self.transport.is_closing():
            self._refuse(b"431 Request Header Fields Too Large")

    def on_headers_complete(self) -> None:
        """The head is there; what follows is counted as a body."""
        self._stop()
        scheme, found, rest = self.url.partition(b"://")
        if found and scheme.isalnum():
            host = re.split(rb"[/?#]", rest, maxsplit=1)[0]
            self.headers[:] = [pair for pair in self.headers if pair[0] != b"host"]
            self.headers.append((b"host", host))
        super().on_headers_complete()
        self._head, self._trailer = -1, 0

    def on_message_complete(self) -> None:
        """The next request's head is counted from here."""
        self._stop()
        self._head = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """An answer is sent. A body that was not wanted has a little time to come to its end."""
        super().on_response_complete()
        if self._head >= 0 or not self.cycle.response_complete or self.transport.is_closing():
            return
        if self.expect_100_continue:  # the client will not send it any more
            self.transport.close()
        elif self._timer is None:
            self._timer = self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no request, after those before it were answered."""
        if not self._may_not_answer():
            super().send_400_response(msg)

    def _expect_head(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expect_progress(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._stalled = self.loop.call_later(SEND_SECONDS, self._look_for_progress, left)

    def _look_for_progress(self, before: int) -> None:
        self._stalled = None
        if self.transport.get_write_buffer_size() < before:
            self._expect_progress()
        else:
            self.transport.abort()

    def _go_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _too_slow(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._refuse(b"408 Request Timeout")

    def _may_not_answer(self) -> bool:
        """Whether a refusal would be taken for the answer of an earlier request, or comes amid or
        after the request's own. What was owed is the last then that is sent.
        """
        cycle = self.cycle
        if cycle is None:
            return False
        in_body = self._head < 0
        if not (
            cycle.response_started or self.pipeline if in_body else not cycle.response_complete
        ):
            return False
        self._deaf = True
        cycle.keep_alive = False
        if in_body:
            self.transport.close()
        return True

    def _refuse(self, status: bytes) -> None:
        if self._may_not_answer():
            return
        self.transport.write(
            b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()


class BodyTooLarge(Exception):
    """A body has more bytes than it may."""


class BodyTooSlow(Exception):
    """A body did not come in time."""


class ClientGone(Exception):
    """The client left before its request was complete."""


async def read_body(scope: Scope, receive: Receive, most: int) -> bytes:
    """A request's whole body. Raises BodyTooLarge, BodyTooSlow, ClientGone."""
    announced = False
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > most:
            raise BodyTooLarge
        announced = announced or name in (b"content-length", b"transfer-encoding")
    if not announced:  # there is none
        return b""
    parts: list[bytes] = []
    size = 0
    more = True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part = message.get("body", b"")
                size += len(part)
                if size > most:
                    raise BodyTooLarge
                if part:
                    parts.append(part)
                more = message.get("more_body", False)
    except TimeoutError:
        raise BodyTooSlow from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def leaving(receive: Receive) -> Callable[[], Awaitable[None]]:
    """What returns when the client of a request has left whose body was read."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    return gone
