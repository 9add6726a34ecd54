"""Clients that are slow on purpose: heads and bodies have their time."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn

from wasmlrun.serve import guard
from wasmlrun.serve.answers import Reply, error_answer, send
from wasmlrun.serve.guard import Receive, Scope, Send


async def app(scope: Scope, receive: Receive, reply: Send) -> None:
    try:
        if scope["path"] == "/slow":
            await asyncio.sleep(1)
        if scope["path"] == "/early":
            await send(Reply(200, (), b"early"), reply)
            return
        body = await guard.read_body(scope, receive, 1000)
        if scope["path"] == "/headers":
            body = b"|".join(b"=".join(pair) for pair in scope["headers"])
    except guard.ClientGone:
        return
    except (guard.BodyTooLarge, guard.BodyTooSlow) as error:
        await send(error_answer(error), reply)
    else:
        large = b"x" * (64 << 20) if scope["path"] == "/large" else body
        await send(Reply(200, (), large), reply)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    patch = pytest.MonkeyPatch()
    patch.setattr(guard, "HEAD_SECONDS", 0.3)
    patch.setattr(guard, "BODY_SECONDS", 0.3)
    patch.setattr(guard, "SEND_SECONDS", 0.5)
    patch.setattr(guard, "LINGER_SECONDS", 0.5)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    config = uvicorn.Config(
        app,
        http=guard.GuardedProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    thread.join()
    listening.close()
    patch.undo()


def answer(port: int, *pieces: bytes, pause: float = 0.0) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=20) as end:
        for piece in pieces:
            end.sendall(piece)
            time.sleep(pause)
        parts = []
        while part := end.recv(1 << 16):
            parts.append(part)
        return b"".join(parts)


GET = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"


def test_a_head_that_does_not_end(port: int) -> None:
    assert answer(port, GET).startswith(b"HTTP/1.1 408 ")
    assert answer(port).startswith(b"HTTP/1.1 408 ")


def test_a_head_that_comes_byte_by_byte(port: int) -> None:
    started = time.monotonic()
    try:
        got = answer(port, *(bytes([byte]) for byte in GET * 4), pause=0.02)
    except ConnectionError:  # what is sent after the refusal
        got = b"HTTP/1.1 408 "
    assert got.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 10


def test_a_second_head_on_a_kept_connection_has_its_time_too(port: int) -> None:
    got = answer(port, GET + b"\r\n" + b"GET / HTTP/1.1\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 408 " in got


def test_a_body_that_does_not_come(port: int) -> None:
    assert b" 408 " in answer(port, POST + b"Content-Length: 10\r\n\r\nabc")[:20]


def test_a_body_that_comes(port: int) -> None:
    got = answer(port, POST + b"Content-Length: 6\r\n\r\nabc", b"def", pause=0.05)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"abcdef")


@pytest.mark.parametrize("piece", [b"x" * 70_000, b"A: b\r\n" * 12_000], ids=["long", "many"])
def test_a_head_that_is_huge(port: int, piece: bytes) -> None:
    try:
        got = answer(port, GET + piece)
    except ConnectionError:  # the rest of it was refused
        return
    assert got.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 "))


def test_a_body_in_the_first_packet_is_no_head(port: int) -> None:
    got = answer(port, POST + b"Content-Length: 100000\r\n\r\n" + b"x" * 100_000)
    assert got.startswith(b"HTTP/1.1 413 ")


def test_an_answer_that_nobody_reads(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(2)
        got = 0
        try:
            while part := end.recv(1 << 20):
                got += len(part)
        except ConnectionError:
            pass
        assert got < 64 << 20  # the rest of it was given up


def test_an_answer_that_is_read_slowly(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(b"GET /large HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        got = 0
        while part := end.recv(1 << 20):
            got += len(part)
            time.sleep(0.02)
        assert got > 64 << 20


# --- requests that two servers would understand differently -------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET",
        POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: +3\r\n\r\nabc",
        POST + b"Content-Length: 3 3\r\n\r\nabc",
        POST + b"Content-Length : 3\r\n\r\nabc",
        GET + b"A: b\r\n c\r\n\r\n",
        GET + b"A\0: b\r\n\r\n",
        GET + b"A: b\0\r\n\r\n",
        GET + b": b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: h\n\n",
        b"GET /a b HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
    ],
    ids=repr,
)
def test_smuggled_requests(port: int, request_: bytes) -> None:
    got = answer(port, request_)
    # refused, or understood as one request alone
    assert got.count(b"HTTP/1.1 ") == 1, got
    assert got.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ", b"HTTP/1.1 413 ")), got


CHUNKED = (
    b"POST /headers HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def test_what_trails_a_body_is_no_header(port: int) -> None:
    got = answer(port, CHUNKED + b"3\r\nabc\r\n0\r\nHost: evil\r\nX-Forwarded-For: evil\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"host=h|connection=close|transfer-encoding=chunked")


def test_what_trails_a_body_has_an_end(port: int) -> None:
    try:
        got = answer(port, CHUNKED + b"3\r\nabc\r\n0\r\n" + b"X: y\r\n" * 400_000)
    except ConnectionError:  # the rest of it was refused
        return
    assert got.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize("host", [b"", b"Host: other\r\n"])
def test_the_host_of_a_whole_url_is_the_requests(port: int, host: bytes) -> None:
    got = answer(port, b"GET http://h:1/headers HTTP/1.1\r\nConnection: close\r\n" + host + b"\r\n")
    assert b"host=h:1" in got
    assert b"other" not in got


@pytest.mark.parametrize(
    "behind",
    [b"NONSENSE\r\n\r\n", b"GET / HT", GET + b"x" * 70_000],
    ids=["nonsense", "unended", "huge"],
)
def test_a_refusal_is_never_an_earlier_requests_answer(port: int, behind: bytes) -> None:
    got = answer(port, b"POST /slow HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" + behind)
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.endswith(b"\r\n\r\nabc")


def test_a_broken_body_behind_its_answer_is_answered_once(port: int) -> None:
    got = answer(port, CHUNKED.replace(b"/headers", b"/early"), b"nonsense\r\n", pause=0.1)
    assert got.count(b"HTTP/1.1 ") == 1
    assert got.endswith(b"early")


def test_a_body_that_nobody_wanted_does_not_hold_the_connection(port: int) -> None:
    head = b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=60) as end:
        end.sendall(head)
        assert end.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
        with pytest.raises(ConnectionError):
            _trickle(end)


def _trickle(end: socket.socket) -> None:
    while True:
        end.sendall(b"x")
        time.sleep(0.1)


def test_a_body_that_was_awaited_is_awaited_no_more_once_answered(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2000\r\n\r\n"
    got = answer(port, head + GET + b"\r\n")
    assert got.startswith(b"HTTP/1.1 413 ")
    assert got.count(b"HTTP/1.1 ") == 1
    small = head.replace(b"2000", b"3").replace(b"Host", b"Connection: close\r\nHost")
    got = answer(port, small, b"abc", pause=0.2)
    assert got.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert got.endswith(b"abc")
