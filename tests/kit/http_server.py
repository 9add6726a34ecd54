"""A real HTTP server on the loopback whose misbehaviour is scripted, answer by answer."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Act:
    """How one request is answered instead of as it should be."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    """Send so many bytes, then close the connection."""
    hold: int | None = None
    """Send so many bytes, then nothing until the server is released."""
    body: bytes | None = None
    no_ranges: bool = False
    endless: bool = False
    wrong_range: bool = False


@dataclass
class FileServer:
    """Files by name. `acts` are taken one a request for the name, the last one for good if
    `always` is set; `log` has what was asked for: the name and the Range header."""

    files: dict[str, bytes]
    url: str = ""
    acts: dict[str, list[Act]] = field(default_factory=dict)
    always: dict[str, Act] = field(default_factory=dict)
    log: list[tuple[str, str | None]] = field(default_factory=list)
    held: threading.Event = field(default_factory=threading.Event)
    release: threading.Event = field(default_factory=threading.Event)

    def ranges(self, name: str) -> list[str | None]:
        return [r for n, r in self.log if n == name]


@contextmanager
def serving(files: Mapping[str, bytes], certificate: Path | None = None) -> Iterator[FileServer]:
    """Serve until the block ends; over TLS with a PEM file of certificate and key."""
    shown = FileServer(dict(files))

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            name = unquote(urlsplit(self.path).path).rpartition("/")[2]
            asked = self.headers.get("Range")
            shown.log.append((name, asked))
            queue = shown.acts.get(name, [])
            act = queue.pop(0) if queue else shown.always.get(name, Act())
            data = act.body if act.body is not None else shown.files.get(name)
            if data is None or act.status != 200:
                self._head(act.status if act.status != 200 else 404, 0, act.headers)
                return
            start = 0
            if asked and not act.no_ranges:
                start = int(asked.removeprefix("bytes=").partition("-")[0])
                if start >= len(data):
                    self._head(416, 0, {"Content-Range": f"bytes */{len(data)}"})
                    return
                shift = 7 if act.wrong_range else 0
                told = f"bytes {start + shift}-{len(data) - 1}/{len(data)}"
                self._head(206, len(data) - start, {"Content-Range": told, **act.headers})
            else:
                self._head(200, None if act.endless else len(data), act.headers)
            with suppress(OSError):  # the client may go away
                self._body(data[start:], act)

        def _body(self, data: bytes, act: Act) -> None:
            if act.endless:
                while True:
                    self.wfile.write(b"x" * 65536)
            if act.hold is not None:
                self.wfile.write(data[: act.hold])
                self.wfile.flush()
                shown.held.set()
                shown.release.wait(20)
                data = data[act.hold :]
            self.wfile.write(data if act.cut is None else data[: act.cut])

        def _head(self, status: int, length: int | None, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            if length is not None:
                self.send_header("Content-Length", str(length))
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    shown.url = f"http://127.0.0.1:{server.server_port}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        shown.url = shown.url.replace("http:", "https:")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield shown
    finally:
        shown.release.set()
        server.shutdown()
        server.server_close()
        thread.join()


def closed_port() -> int:
    """A port of the loopback where nobody listens."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
