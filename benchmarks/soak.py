"""A day of a server's life: hundreds of thousands of requests, and what it holds meanwhile.

python benchmarks/soak.py [-n 500000] [--connections 8] [--processes N]

A folder with a worker that answers each request, one that fails, a page that is missing, a file;
and now and then a client that leaves, and a broken request. Memory and descriptors of the server
and of its children are written down twenty times. Needs wasmlrun[serve]; Linux.
"""

import argparse
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serve import HELLO, started

PORT = 9404
TIMES = 20
TRAP = '(module (memory (export "memory") 1) (func (export "_start") unreachable))'
USUAL = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
OTHERS = {
    b"GET /missing HTTP/1.1\r\nHost: localhost\r\n\r\n": b"404",
    b"GET /file.txt HTTP/1.1\r\nHost: localhost\r\n\r\n": b"200",
    b"GET /trap HTTP/1.1\r\nHost: localhost\r\n\r\n": b"500",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello": b"200",
}
"""What every fiftieth request is, and the status of its answer."""


async def asked(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bytes:
    """The status of a request's answer, all of which is read."""
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head)
    assert size is not None, head
    await reader.readexactly(int(size[1]))
    return head[9:12]


async def client(number: int, count: int) -> None:
    """So many requests over a connection that is kept, and made anew every 10,000."""
    others = list(OTHERS.items())
    writer: asyncio.StreamWriter | None = None
    for at in range(count):
        if at % 10_000 == 0:
            if writer is not None:
                writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", PORT)
        assert writer is not None
        request, wanted = others[at // 50 % len(others)] if at % 50 == 0 else (USUAL, b"200")
        got = await asked(reader, writer, request)
        assert got == wanted, (request, got)
        if (at + number) % 1000 == 0:
            rude()
    if writer is not None:
        writer.close()


def rude() -> None:
    """A client that leaves at once, and one that speaks nonsense."""
    for data in (USUAL, b"NONSENSE\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", PORT)) as end:
            end.sendall(data)


async def clients(count: int, connections: int) -> None:
    await asyncio.gather(*(client(number, count // connections) for number in range(connections)))


def held(process: int) -> dict[str, int]:
    """Resident kilobytes, descriptors and threads of the server and of its children."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    ).stdout.split()
    found = {"server_kb": 0, "children_kb": 0, "descriptors": 0, "threads": 0}
    for number in (str(process), *listed):
        status = Path("/proc", number, "status").read_text()
        kilobytes = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
        found["server_kb" if number == str(process) else "children_kb"] += kilobytes
        found["descriptors"] += len(list(Path("/proc", number, "fd").iterdir()))
        found["threads"] += int(re.search(r"Threads:\s+(\d+)", status)[1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=500_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    import wasmtime

    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch, "site")
        (site / "public").mkdir(parents=True)
        (site / "public" / "file.txt").write_text("a file\n")
        (site / "index.wasm").write_bytes(wasmtime.wat2wasm(HELLO))
        (site / "trap.wasm").write_bytes(wasmtime.wat2wasm(TRAP))
        env = {**os.environ, "WASMLRUN_CACHE_DIR": f"{scratch}/cache", "XDG_RUNTIME_DIR": scratch}
        command = [sys.executable, "-m", "wasmlrun", "serve", str(site), "--log", "none"]
        command += ["--port", str(PORT), "--processes", str(arguments.processes)]
        server, _ = started(command, PORT, env)
        try:
            began, done = time.perf_counter(), 0
            for number in range(TIMES + 1):
                print(json.dumps({"requests": done, **held(server.pid)}), flush=True)
                if number < TIMES:
                    asyncio.run(clients(arguments.n // TIMES, arguments.connections))
                    done += arguments.n // TIMES
            seconds = time.perf_counter() - began
            print(f"{done} requests in {seconds:.0f} s, {done / seconds:.0f} a second")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
