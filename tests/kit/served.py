"""A server of ours as a process, and plain HTTP to it."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

SECONDS = 60


class Reply(NamedTuple):
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Served:
    """`wasmlrun serve …` for as long as the block runs."""

    def __init__(self, *words: str | Path, env: Mapping[str, str], cwd: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "wasmlrun", "serve", "--port", "0", *map(str, words)],
            env=dict(env),
            cwd=cwd,
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        self.log: list[str] = []
        self.port = 0
        self._told = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        assert self._told.wait(SECONDS), self.text
        assert self.port, self.text

    @property
    def text(self) -> str:
        return "".join(self.log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self.log.append(line)
            found = re.fullmatch(r"serving at http://.*:(\d+)/\n", line)
            if found:
                self.port = int(found[1])
                self._told.set()
        self._told.set()

    def logged(self, start: str) -> str:
        """The first line that begins so; what was answered is logged a little later."""
        for _ in range(100):
            for line in self.log:
                if line.startswith(start):
                    return line
            time.sleep(0.05)
        raise AssertionError(self.text)

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers=headers)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            found = {k.lower(): v for k, v in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def raw(self, data: bytes, *, close: bool = False) -> bytes:
        """What comes for bytes as they are, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=SECONDS) as end:
            end.sendall(data)
            if close:
                return b""
            parts = []
            while part := end.recv(1 << 16):
                parts.append(part)
            return b"".join(parts)

    def children(self) -> list[int]:
        """Numbers of the processes that do the work; Linux only."""
        listed = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        threads = Path(f"/proc/{self.pid}/task").iterdir()
        listed = " ".join((t / "children").read_text() for t in threads if t.is_dir()) or listed
        return [int(number) for number in listed.split()]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self._process.send_signal(number)
        code = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def __enter__(self) -> Served:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join(SECONDS)
        for stream in (self._process.stdout, self._process.stderr):
            if stream is not None:
                stream.close()
