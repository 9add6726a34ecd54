"""Servers side by side on this machine: ours, and a plain one of FastAPI and OpenVINO.

python benchmarks/serve.py --models DIR --image FILE [-n 400] [--echo 20000]

The same pictures over loopback at 1, 8 and 64 connections; then a sandboxed worker that only
says hello, and `classify --via auto` as whole processes. Needs fastapi and wasmlrun[serve].
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
MODEL = "mobilenet_v2_1.0_224_quant.tflite"
CONNECTIONS = (1, 8, 64)
ROUNDS = 7
PLAIN = """
import io, sys
import numpy as np, openvino as ov, uvicorn
from fastapi import FastAPI, Request
from PIL import Image
compiled = ov.Core().compile_model(sys.argv[1], "CPU")
labels = open(sys.argv[2]).read().splitlines()
app = FastAPI()
def work(data):
    picture = Image.open(io.BytesIO(data)).convert("RGB").resize((224, 224))
    scores = compiled.create_infer_request().infer([np.asarray(picture)[None]])[0][0]
    best = scores.argsort()[::-1][:5]
    return [{"label": labels[i], "score": float(scores[i]) / 256} for i in best]
@app.post("/classify")
async def classify(request: Request):
    data = await request.body()
    from starlette.concurrency import run_in_threadpool
    return {"predictions": await run_in_threadpool(work, data)}
uvicorn.run(app, port=int(sys.argv[3]), log_level="error", access_log=False)
"""
HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 64)
    "{\\22data\\22:\\22hello\\22,\\22status\\22:200,\\22headers\\22:{},\\22kv\\22:{}}")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 50))
    (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


async def load(port: int, request: bytes, count: int, connections: int) -> list[float]:
    """Milliseconds of each of `count` requests, over so many connections that are kept."""
    taken: list[float] = []
    left = count

    async def client() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            started = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            size = int(re.search(rb"content-length: (\d+)", head)[1])
            await reader.readexactly(size)
            taken.append((time.perf_counter() - started) * 1000)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return taken


def measured(port: int, request: bytes, count: int, connections: int) -> tuple[float, float, float]:
    """Requests a second, median and 99th percentile in milliseconds."""
    started = time.perf_counter()
    taken = sorted(asyncio.run(load(port, request, count, connections)))
    seconds = time.perf_counter() - started
    return len(taken) / seconds, statistics.median(taken), taken[int(len(taken) * 0.99)]


def started(command: list[str], port: int, env: dict[str, str]) -> tuple[subprocess.Popen, float]:
    """A server that accepts connections, and how many seconds that took."""
    began = time.perf_counter()
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL)
    while time.perf_counter() - began < 120:
        try:
            asyncio.run(load(port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", 1, 1))
            break
        except AssertionError:  # it answers, whatever it is
            break
        except OSError:
            time.sleep(0.02)
    return process, time.perf_counter() - began


def post(body: bytes) -> bytes:
    """A request with a picture."""
    length = f"Content-Length: {len(body)}\r\n\r\n"
    head = "POST /classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n" + length
    return head.encode() + body


def pictures(arguments: argparse.Namespace, env: dict[str, str]) -> None:
    """Both servers at each number of connections, in turns."""
    model, labels = str(arguments.models / MODEL), str(arguments.models / "imagenet_labels.txt")
    wasmlrun = [sys.executable, "-m", "wasmlrun", "serve", "--log", "none", "--queue", "256"]
    ours = [*wasmlrun, "--port", "9401", "--model", model, "--labels", labels]
    plain, _ = started([sys.executable, "-c", PLAIN, model, labels, "9402"], 9402, env)
    first, _ = started(ours, 9401, env)  # fills the cache
    first.terminate()
    first.wait()
    server, seconds = started(ours, 9401, env)
    print(f"start, everything compiled before: {seconds:.2f} s")
    request = post(arguments.image.read_bytes())
    try:
        for connections in CONNECTIONS:
            servers = {"wasmlrun": (9401, server.pid), "plain": (9402, plain.pid)}
            compared(request, connections, max(connections, arguments.n // ROUNDS), servers)
        oneshot(arguments, model, labels, env)
    finally:
        for process in (server, plain):
            process.terminate()
            process.wait()


def compared(
    request: bytes, connections: int, count: int, servers: dict[str, tuple[int, int]]
) -> None:
    """Both in short turns, so that what else the machine does falls on both; medians of turns.
    `servers` are ports and processes.
    """
    turns: dict[str, list[tuple[float, ...]]] = {name: [] for name in servers}
    for number in range(ROUNDS + 1):
        for name, (port, process) in servers.items():
            before = processor_time(process)
            turn = measured(port, request, count, connections)
            if number:  # the first warms both up
                spent = (processor_time(process) - before) * 1000 / count
                turns[name].append((*turn, spent))
    ours, plain = (
        [statistics.median(values) for values in zip(*turns[name], strict=True)] for name in turns
    )
    rates = sorted(a[0] / b[0] for a, b in zip(*turns.values(), strict=True))
    print(
        f"{connections:3} connections: {ours[0]:6.1f} requests/s, median {ours[1]:.1f}, "
        f"p99 {ours[2]:.1f} ms | plain {plain[0]:.1f}, {plain[1]:.1f}, {plain[2]:.1f} | "
        f"{statistics.median(rates):.2f} × ({rates[0]:.2f} to {rates[-1]:.2f}), "
        f"p99 {ours[2] / plain[2]:.2f} × | processor time of a request {ours[3]:.1f} ms, "
        f"plain {plain[3]:.1f}",
        flush=True,
    )


def oneshot(arguments: argparse.Namespace, model: str, labels: str, env: dict[str, str]) -> None:
    """Whole processes: with the server that runs, and the floor of `floor.py`."""
    blob = Path(env["WASMLRUN_CACHE_DIR"], "floor.blob")
    export = (
        "import sys, openvino as ov; compiled = ov.Core().compile_model(sys.argv[1], 'CPU', "
        "{'INFERENCE_PRECISION_HINT': 'f32'}); "
        "open(sys.argv[2], 'wb').write(compiled.export_model().getvalue())"
    )
    subprocess.run([sys.executable, "-c", export, model, str(blob)], check=True, env=env)
    commands = {
        "via": [
            *(sys.executable, "-m", "wasmlrun", "classify", str(arguments.image)),
            *("--via", "auto", "--model", model, "--labels", labels),
        ],
        "floor": [sys.executable, str(HERE / "floor.py"), str(blob), "1,224,224,3"],
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(17):
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, stdout=subprocess.DEVNULL, env=env, check=True)
            taken[name].append((time.perf_counter() - began) * 1000)
    via, floor = (statistics.median(taken[name]) for name in ("via", "floor"))
    print(f"classify --via auto {via:.0f} ms, the floor {floor:.0f} ms: {via / floor:.2f} ×")


def hello(arguments: argparse.Namespace, env: dict[str, str], scratch: Path) -> None:
    """A worker that says hello, and what the server holds after many of them."""
    import wasmtime

    (scratch / "site").mkdir()
    (scratch / "site" / "index.wasm").write_bytes(wasmtime.wat2wasm(HELLO))
    command = [sys.executable, "-m", "wasmlrun", "serve", str(scratch / "site"), "--port", "9403"]
    server, _ = started([*command, "--log", "none", "--queue", "256"], 9403, env)
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    try:
        for connections in CONNECTIONS:
            rate, median, p99 = measured(9403, request, max(1, arguments.echo // 4), connections)
            print(
                f"hello, {connections:3} connections: {rate:7.0f} requests/s, "
                f"median {median:.2f}, p99 {p99:.2f} ms"
            )
        before = held(server.pid)
        for _ in range(4):
            measured(9403, request, arguments.echo // 4, 8)
        after = json.dumps(held(server.pid))
        print(f"after {arguments.echo} requests: {json.dumps(before)} -> {after}")
    finally:
        server.terminate()
        server.wait()


def family(process: int) -> list[str]:
    """The numbers of a process and of its children."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False
    ).stdout.split()
    return [str(process), *listed]


def processor_time(process: int) -> float:
    """Seconds that a process and its children have computed."""
    ticks = 0
    for number in family(process):
        fields = Path("/proc", number, "stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def held(process: int) -> dict[str, int]:
    """Resident megabytes and descriptors of a process and its children."""
    found = {"MB": 0, "descriptors": 0}
    for number in family(process):
        status = Path("/proc", number, "status").read_text()
        found["MB"] += int(re.search(r"VmRSS:\s+(\d+)", status)[1]) // 1024
        found["descriptors"] += len(list(Path("/proc", number, "fd").iterdir()))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("-n", type=int, default=400, help="pictures at each number of connections")
    parser.add_argument(
        "--echo", type=int, default=20_000, help="requests to the worker that says hello"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        env = {**os.environ, "WASMLRUN_CACHE_DIR": str(Path(scratch, "cache"))}
        env["XDG_RUNTIME_DIR"] = scratch
        pictures(arguments, env)
        hello(arguments, env, Path(scratch))


if __name__ == "__main__":
    main()
