"""`http.send-http-request`: how Wasm Workers Server's guests send requests, for core modules.

The interface is older than the component model's: a record flattened into eleven numbers, the
answer written behind the last of them, its parts in memory that the guest's own
`canonical_abi_realloc` gives. Whether a request may be sent at all is said by the grant and
judged in `http_requests`.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from wasmlrun.sandbox.http_requests import Answer, HttpFault, Request, Sender
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.wasmtime_c import Caller, GuestMemory, Linker, OutsideMemory

MODULE, NAME, ARITY = "http", "send-http-request", 11
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD")
MAX_HEADERS = 256
MAX_BODY = 64 << 20
_REALLOC = ("canonical_abi_realloc", "cabi_realloc")


def define(linker: Linker, send: Sender) -> None:
    """Define the function; what it is called for goes to `send`."""

    def call(caller: Caller, *arguments: int) -> None:
        try:
            _serve(caller, [argument & 0xFFFFFFFF for argument in arguments], send)
        except OutsideMemory as error:  # a pointer to nowhere
            raise WorkerFailed(f"{MODULE}.{NAME}: {error}") from error

    linker.define(MODULE, NAME, ARITY, call, results=0)


def _serve(caller: Caller, arguments: Sequence[int], send: Sender) -> None:
    has_body, body, size, headers, count, method, _, _, uri, uri_size, out = arguments
    memory = GuestMemory(caller)
    memory.check(out, 28, "the result")
    try:
        if method >= len(METHODS):
            raise HttpFault("invalid-request", f"there is no method number {method}")
        if count > MAX_HEADERS or (has_body and size > MAX_BODY):
            raise HttpFault("invalid-request", "the request is too large")
        answer = send(
            Request(
                METHODS[method],
                memory.read(uri, uri_size, "the address").decode("utf-8", "replace"),
                _pairs(memory, headers, count),
                memory.read(body, size, "the body") if has_body else None,
            )
        )
    except HttpFault as fault:
        message = fault.message.encode()
        at = _given(caller, message)
        packed = struct.pack("<B3xB3xII12x", 1, fault.number, at, len(message))
    else:
        packed = _answered(caller, answer)
    # the guest's memory may have grown, and moved, while it made room
    GuestMemory(caller).write(out, packed, "the result")


def _answered(caller: Caller, answer: Answer) -> bytes:
    table = b""
    for name, value in answer.headers:
        for text in (name.encode(), value.encode()):
            table += struct.pack("<II", _given(caller, text), len(text))
    headers = _given(caller, table, align=4)
    body = _given(caller, answer.body)
    return struct.pack(
        "<B3xB3xIIIIH2x",
        *(0, 1, body, len(answer.body), headers, len(answer.headers), answer.status),
    )


def _pairs(memory: GuestMemory, pointer: int, count: int) -> list[tuple[str, str]]:
    numbers = memory.read_u32s(pointer, 4 * count, "the headers")
    texts = [
        memory.read(at, size, "a header").decode("utf-8", "replace")
        for at, size in zip(numbers[::2], numbers[1::2], strict=True)
    ]
    return list(zip(texts[::2], texts[1::2], strict=True))


def _given(caller: Caller, data: bytes, align: int = 1) -> int:
    """Put bytes into memory that the guest makes for them; where they are."""
    if not data:
        return align
    for name in _REALLOC:
        at = caller.call(name, 0, 0, align, len(data))
        if at is not None:
            GuestMemory(caller).write(at & 0xFFFFFFFF, data, "the answer")
            return at & 0xFFFFFFFF
    raise WorkerFailed(f"{MODULE}.{NAME}: the worker exports no {_REALLOC[0]}")
