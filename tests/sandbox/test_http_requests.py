"""What a worker may send: the manifest's rules, addresses, and the interface in WebAssembly."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import wasmtime

from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import HttpGrant
from wasmlrun.sandbox import http_requests
from wasmlrun.sandbox.http_requests import HttpFault, Request, addresses_of, is_public, sender
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.support.limits import Limits

PUBLIC = "93.184.215.14"


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        if self.path == "/silent":
            threading.Event().wait(3)
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        data = f"{self.command} {self.path} {self.headers['host']} {self.headers['x-a']} ".encode()
        data = b"x" * 300 if self.path == "/long" else data + body
        self.send_response(302 if self.path == "/away" else 200)
        self.send_header("content-length", str(len(data)))
        self.send_header("location", "http://127.0.0.1:1/")
        self.end_headers()
        with suppress(BrokenPipeError):  # who asked may be gone
            self.wfile.write(data)

    do_GET = do_POST = answer  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def local(**more: object) -> HttpGrant:
    settings = {
        "allowed_hosts": ("localhost", "127.0.0.1"),
        "allowed_private": ("localhost", "127.0.0.1"),
        "allow_http": True,
    }
    return HttpGrant(**{**settings, **more})  # type: ignore[arg-type]


def get(url: str, method: str = "GET", body: bytes | None = None) -> Request:
    return Request(method, url, (("x-a", "1"), ("Host", "forged")), body)


def test_a_request_that_is_allowed_is_sent_under_its_own_name(port: int) -> None:
    answer = sender(local())(get(f"http://127.0.0.1:{port}/p?q=1", "POST", b"body"))
    assert answer.status == 200
    assert answer.body == f"POST /p?q=1 127.0.0.1:{port} 1 body".encode()


def test_redirects_are_the_workers_to_read(port: int) -> None:
    answer = sender(local())(get(f"http://127.0.0.1:{port}/away"))
    assert answer.status == 302
    assert ("location", "http://127.0.0.1:1/") in [(k.lower(), v) for k, v in answer.headers]


@pytest.mark.parametrize(
    ("url", "method", "grant", "kind", "words"),
    [
        ("https://other.org/", "GET", local(), "not-allowed", "The host 'other.org' is not"),
        ("http://localhost/", "GET", local(allow_http=False), "not-allowed", "must use HTTPS"),
        ("http://localhost/", "HEAD", local(), "not-allowed", "The method 'HEAD' is not"),
        ("file:///etc/passwd", "GET", local(), "invalid-request", "no http or https address"),
        ("http://u:p@localhost/", "GET", local(), "invalid-request", "user name"),
        ("http://localhost/ x\r\ny", "GET", local(), "invalid-request", "a character"),
        ("http://localhost:99999/", "GET", local(), "invalid-request", "cannot be read"),
        ("https://localhost/", "GET", HttpGrant(), "not-allowed", "'localhost' is not allowed"),
        (
            "http://localhost/",
            "GET",
            local(allowed_private=()),
            "not-allowed",
            "which is no address of the public network",
        ),
    ],
)
def test_what_is_not_allowed_is_not_sent(
    url: str, method: str, grant: HttpGrant, kind: str, words: str
) -> None:
    with pytest.raises(HttpFault) as raised:
        sender(grant)(get(url, method))
    assert raised.value.kind == kind
    assert words in raised.value.message


def test_one_address_within_is_enough_to_refuse() -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return [PUBLIC, "169.254.169.254"]

    grant = HttpGrant(allowed_hosts=("evil.example",))
    with pytest.raises(HttpFault, match=r"169\.254\.169\.254"):
        sender(grant, resolve)(get("https://evil.example/"))
    assert asked == ["evil.example"]


def test_the_connection_goes_to_the_address_that_was_judged(port: int) -> None:
    """A name is asked for once: what it says a second time leads nowhere."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    grant = local(allowed_hosts=("name.invalid",), allowed_private=("name.invalid",))
    answer = sender(grant, lambda *_: next(answers))(get(f"http://name.invalid:{port}/"))
    assert f"name.invalid:{port}".encode() in answer.body
    assert next(answers) == ["127.0.0.2"]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1%eth0",
        "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)  # fmt: skip
def test_places_within(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", [PUBLIC, "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8"])
def test_the_public_network(address: str) -> None:
    assert is_public(address)


def test_an_unknown_host() -> None:
    with pytest.raises(HttpFault, match="not known"):
        addresses_of("no-such-host.invalid", 443)


def test_time_and_size_of_an_answer(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_requests, "MAX_ANSWER", 200)
    with pytest.raises(HttpFault) as raised:
        sender(local())(get(f"http://127.0.0.1:{port}/long"))
    assert raised.value.kind == "invalid-response-body"
    monkeypatch.setattr(http_requests, "TIMEOUT", 0.2)
    with pytest.raises(HttpFault) as raised:
        sender(local())(get(f"http://127.0.0.1:{port}/silent"))
    assert raised.value.kind == "timeout"


def test_nobody_there_and_headers_that_split() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
    with pytest.raises(HttpFault) as raised:
        sender(local())(get(f"http://127.0.0.1:{closed}/"))
    assert raised.value.kind == "internal-error"
    with pytest.raises(HttpFault, match="cannot be sent"):
        sender(local())(Request("GET", "http://localhost/", (("a", "1\r\nb: 2"),), None))


# --- in WebAssembly -----------------------------------------------------------------------------

# sends a request whose parts stand in memory, and writes the answer's body or error to stdout
GUEST = """(module
  (import "http" "send-http-request" (func $send
    (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $top (mut i32) (i32.const 4096))
  (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
    (global.set $top (i32.add (local.get $at) (local.get 3)))
    (local.get $at))
  (data (i32.const 16) "x-a1body")
  (data (i32.const 64) "\\10\\00\\00\\00\\03\\00\\00\\00\\13\\00\\00\\00\\01\\00\\00\\00")
  (data (i32.const 512) "URL")
  (func (export "_start")
    (call $send (i32.const 1) (i32.const 20) (i32.const 4) (i32.const 64) (i32.const 1)
      (i32.const METHOD) (i32.const 0) (i32.const 0) (i32.const URI) (i32.const SIZE)
      (i32.const OUT))
    (if (i32.load8_u (i32.const 256)) (then
      (i32.store (i32.const 300) (i32.load (i32.const 264)))
      (i32.store (i32.const 304) (i32.load (i32.const 268))))
    (else
      (i32.store (i32.const 300) (i32.load (i32.const 264)))
      (i32.store (i32.const 304) (i32.load (i32.const 268)))))
    (drop (call $write (i32.const 1) (i32.const 300) (i32.const 1) (i32.const 308)))))"""


def sent(folder: Path, url: str, grant: HttpGrant, method: int = 1, **other: int) -> bytes:
    text = GUEST.replace('"URL"', json.dumps(url)).replace("METHOD", str(method))
    values = {"URI": 512, "SIZE": len(url), "OUT": 256, **other}
    for name, value in values.items():
        text = text.replace(f"const {name})", f"const {value})")
    path = folder / "guest.wasm"
    path.write_bytes(wasmtime.wat2wasm(text))
    run = Worker(Runtime(Limits()), path).linked(Grant(http=grant)).run(session=None)
    return run.stdout


def test_a_guest_sends_a_request(tmp_path: Path, port: int) -> None:
    got = sent(tmp_path, f"http://127.0.0.1:{port}/g", local())
    assert got == f"POST /g 127.0.0.1:{port} 1 body".encode()


def test_a_guest_without_a_grant_is_told_so(tmp_path: Path, port: int) -> None:
    assert b"is not allowed for this worker" in sent(
        tmp_path, f"http://127.0.0.1:{port}/g", HttpGrant()
    )
    assert sent(tmp_path, "http://localhost/", local(), method=9) == b"there is no method number 9"


@pytest.mark.parametrize("wrong", [{"OUT": 131060}, {"URI": 140000}, {"SIZE": 200000}])
def test_pointers_to_nowhere_end_the_guest(
    tmp_path: Path, port: int, wrong: dict[str, int]
) -> None:
    with pytest.raises(WorkerFailed, match="outside the guest's memory"):
        sent(tmp_path, f"http://127.0.0.1:{port}/", local(), **wrong)
