"""A folder of Wasm Workers Server over HTTP, its workers in WebAssembly text."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
import wasmtime
from kit.served import Served

# what a worker is told: it answers with its own standard input, as a text of JSON
ECHO = """(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 40)
  (data (i32.const 64) "{\\"data\\":\\"")
  (data (i32.const 80)
    "\\",\\"headers\\":{\\"x_made_by\\":\\"wat\\"},\\"status\\":201,\\"base64\\":true}")
  (data (i32.const 160) "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  (global $n (mut i32) (i32.const 0))
  (func $say (param i32 i32)
    (i32.store (i32.const 0) (local.get 0)) (i32.store (i32.const 4) (local.get 1))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
  (func $digit (param $at i32) (param $value i32)
    (i32.store8 (local.get $at)
      (i32.load8_u (i32.add (i32.const 160) (i32.and (local.get $value) (i32.const 63))))))
  (func (export "_start") (local $i i32) (local $o i32) (local $three i32)
    (block $done (loop $more
      (i32.store (i32.const 0) (i32.add (i32.const 1024) (global.get $n)))
      (i32.store (i32.const 4) (i32.const 65536))
      (br_if $done (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (br_if $done (i32.eqz (i32.load (i32.const 8))))
      (global.set $n (i32.add (global.get $n) (i32.load (i32.const 8))))
      (br $more)))
    ;; spaces to a multiple of three, so that base64 needs no filling
    (i32.store (i32.add (i32.const 1024) (global.get $n)) (i32.const 0x20202020))
    (global.set $n (i32.mul (i32.div_u (i32.add (global.get $n) (i32.const 2)) (i32.const 3))
      (i32.const 3)))
    (local.set $o (i32.const 1048576))
    (block $end (loop $next
      (br_if $end (i32.ge_u (local.get $i) (global.get $n)))
      (local.set $three (i32.or (i32.or
        (i32.shl (i32.load8_u (i32.add (i32.const 1024) (local.get $i))) (i32.const 16))
        (i32.shl (i32.load8_u (i32.add (i32.const 1025) (local.get $i))) (i32.const 8)))
        (i32.load8_u (i32.add (i32.const 1026) (local.get $i)))))
      (call $digit (local.get $o) (i32.shr_u (local.get $three) (i32.const 18)))
      (call $digit (i32.add (local.get $o) (i32.const 1))
        (i32.shr_u (local.get $three) (i32.const 12)))
      (call $digit (i32.add (local.get $o) (i32.const 2))
        (i32.shr_u (local.get $three) (i32.const 6)))
      (call $digit (i32.add (local.get $o) (i32.const 3)) (local.get $three))
      (local.set $o (i32.add (local.get $o) (i32.const 4)))
      (local.set $i (i32.add (local.get $i) (i32.const 3)))
      (br $next)))
    (call $say (i32.const 64) (i32.const 9))
    (call $say (i32.const 1048576) (i32.sub (local.get $o) (i32.const 1048576)))
    (call $say (i32.const 80) (i32.const 59))))"""


def saying(text: str, *, more: str = "") -> str:
    """A worker that always writes this."""
    data = text.encode()
    escaped = "".join(f"\\{byte:02x}" for byte in data)
    return f"""(module
      (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 64) "{escaped}")
      (func (export "_start")
        {more}
        (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const {len(data)}))
        (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def response(data: str = "", status: int = 200, **more: object) -> str:
    return saying(json.dumps({"data": data, "status": status, "headers": {}, "kv": {}} | more))


WORKERS = {
    "index": response("<h1>home</h1>"),
    "echo": ECHO,
    "users/[id]": ECHO,
    "all/[...rest]": ECHO,
    "gone": response("gone", 410),
    "odd": response("odd", 77),
    "bytes": response(base64.b64encode(bytes(range(256))).decode(), base64=True),
    "cookies": response(headers={"set_cookie": ["a=1", "b=2"]}),
    "split": response(headers={"x": "1\r\nset-cookie: evil=1"}),
    "named": response(headers={"x: y": "1"}),
    "length": response("ten bytes!", headers={"Content-Length": "3", "connection": "close"}),
    "nonsense": saying("no json"),
    "silent": saying(""),
    "trap": saying("", more="unreachable"),
    "endless": saying("", more="(loop (br 0))"),
    "kv": response("kept", kv={"count": "1"}),
    "shown": ECHO,
}
MANIFESTS = {
    "kv": '[data.kv]\nnamespace = "shared"\n',
    "shown": '[data.kv]\nnamespace = "shared"\n',
    "gone": "[[folders]]\nfrom = 'nowhere'\nto = '/x'\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    for name, text in WORKERS.items():
        path = site / f"{name}.wasm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wasmtime.wat2wasm(text))
        if name in MANIFESTS and name != "gone":
            path.with_suffix(".toml").write_text(f'version = "1"\n{MANIFESTS[name]}')
    public = site / "public"
    (public / "users").mkdir(parents=True)
    (public / "style.css").write_text("body {}")
    (public / "echo").write_text("an asset that a static worker hides")
    (public / "users" / "asset").write_text("an asset before a dynamic route")
    (public / "404.html").write_text("<h1>not here</h1>")
    (site / "secret").write_text("secret")
    (site / "_hidden.wasm").write_bytes(wasmtime.wat2wasm(WORKERS["index"]))
    return site


@pytest.fixture(scope="module")
def environment(own_home: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **own_home}


@pytest.fixture(scope="module")
def served(folder: Path, environment: dict[str, str]) -> Iterator[Served]:
    words = ["--processes", "2", "--timeout", "1", "--max-body", "100000", "--queue", "2"]
    words += ["--allow-host", "h"]
    with Served(folder, *words, "--cors", "https://a.org", env=environment, cwd=folder) as server:
        yield server


def test_a_worker_is_told_all_of_the_request(served: Served) -> None:
    reply = served.ask(
        "PUT", "/users/a%20b?x=1&y=%C3%A4", "ä".encode(), {"X-A": "1", "Host": "h:1"}
    )
    assert reply.status == 201
    assert reply.headers["x-made-by"] == "wat"
    told = reply.json
    assert (told["method"], told["url"]) == ("PUT", "http://h:1/users/a%20b?x=1&y=%C3%A4")
    assert (told["params"], told["body"], told["kv"]) == ({"id": "a b"}, "ä", {})
    assert told["headers"]["x-a"] == "1"
    assert served.get("/all/x/y").json["params"] == {"rest": "x/y"}
    assert served.ask("POST", "/echo", b"\xff\xfe").json["body"] == ""
    large = served.ask("POST", "/users/7?a=b", b"x" * 90_000).json
    assert (large["body"], large["params"], large["kv"]) == ("x" * 90_000, {"id": "7"}, {})
    assert large["url"].endswith("/users/7?a=b")


def test_what_a_worker_answers_is_sent(served: Served) -> None:
    home = served.get("/")
    assert (home.status, home.body) == (200, b"<h1>home</h1>")
    assert home.headers["content-type"] == "text/html"
    assert served.get("/gone").status == 410
    assert served.get("/odd").status == 200
    assert served.get("/bytes").body == bytes(range(256))
    assert served.get("/length").body == b"ten bytes!"
    raw = served.raw(b"GET /cookies HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert raw.count(b"set-cookie: ") == 2


def test_a_worker_that_fails_is_a_500_and_its_reason_is_in_the_log(served: Served) -> None:
    for path in ("/nonsense", "/silent", "/trap", "/split", "/named"):
        reply = served.get(path)
        assert (reply.status, reply.body) == (
            500,
            b"<p>There was an error running this function</p>",
        ), path
        assert "evil" not in str(reply.headers)
    assert "/trap: worker trap.wasm trapped" in served.text
    assert "/nonsense: the worker's answer is not JSON" in served.text


def test_a_worker_that_does_not_end_is_a_504(served: Served) -> None:
    started = time.monotonic()
    assert served.get("/endless").status == 504
    assert time.monotonic() - started < 10
    assert served.get("/").status == 200


def test_a_store_is_kept_for_its_namespace(served: Served) -> None:
    assert served.get("/kv").body == b"kept"
    assert served.get("/shown").json["kv"] == {"count": "1"}
    assert served.get("/echo").json["kv"] == {}


def test_assets(served: Served) -> None:
    style = served.get("/style.css")
    assert (style.body, style.headers["content-type"]) == (b"body {}", "text/css; charset=utf-8")
    assert served.get("/users/asset").body == b"an asset before a dynamic route"
    assert served.get("/echo").status == 201
    missing = served.get("/nothing/here")
    assert (missing.status, missing.body) == (404, b"<h1>not here</h1>")
    again = served.ask("GET", "/style.css", headers={"if-none-match": style.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    head = served.ask("HEAD", "/style.css", headers={"range": "bytes=0-3"})
    assert (head.status, head.headers["content-length"]) == (200, "7")
    for method in ("POST", "DELETE", "OPTIONS"):
        refused = served.ask(method, "/style.css")
        assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=0-3", 206, b"body"),
        ("bytes=-2", 206, b"{}"),
        ("bytes=5-", 206, b"{}"),
        ("bytes=99-", 416, b""),
        # what is no range counts for nothing
        ("bytes=3-1", 200, b"body {}"),
        ("bytes=a-b", 200, b"body {}"),
        ("bytes=" + "9" * 5000 + "-", 200, b"body {}"),
        ("pages=1-2", 200, b"body {}"),
        ("bytes=" + "0-1," * 5000 + "0-1", 200, b"body {}"),
    ],
    ids=lambda value: str(value)[:12],
)
def test_ranges(served: Served, asked: str, status: int, body: bytes) -> None:
    reply = served.get("/style.css", range=asked)
    assert (reply.status, reply.body) == (status, body)


LAST = b"Connection: close\r\n\r\n"


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"TRACE /echo HTTP/1.1\r\nHost: h\r\nCookie: secret\r\n" + LAST, b"405"),
        (b"CONNECT h:443 HTTP/1.1\r\nHost: h:443\r\n" + LAST, b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: h\r\n" + LAST, b"204"),
        (b"GET * HTTP/1.1\r\nHost: h\r\n" + LAST, b"400"),
        (b"OPTIONS /echo HTTP/1.1\r\nHost: h\r\n" + LAST, b"201"),
        (b"HEAD / HTTP/1.1\r\nHost: h\r\n" + LAST, b"200"),
        (b"GET / HTTP/2.0\r\nHost: h\r\n" + LAST, b"505"),
        (b"GET / HTTP/0.9\r\nHost: h\r\n" + LAST, b"505"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200"),
        (b"GET http://evil.org/ HTTP/1.1\r\nHost: h\r\n" + LAST, b"421"),
        (b"POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n" + LAST, b"501"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n" + LAST, b"200"),
        (
            b"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nConnection: Upgrade, close\r\n\r\n",
            b"200",
        ),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_request_lines(served: Served, request_: bytes, status: bytes) -> None:
    raw = served.raw(request_)
    assert raw.split(b" ")[1] == status
    assert b"secret" not in raw
    assert (
        request_[:4] not in (b"HEAD", b"OPTI")
        or not raw.partition(b"\r\n\r\n")[2]
        or status == b"201"
    )


def test_a_header_that_comes_many_times_is_one(served: Served) -> None:
    lines = b"X: y\r\n" * 5000
    raw = served.raw(b"GET /echo HTTP/1.1\r\nHost: h\r\n" + lines + LAST)
    told = json.loads(raw.partition(b"\r\n\r\n")[2])
    assert told["headers"]["x"] == ", ".join("y" * 5000)


@pytest.mark.parametrize(
    "target",
    [
        "/../secret", "/%2e%2e/secret", "/..%2fsecret", "/..%5csecret", "/public/../../secret",
        "/secret", "/_hidden", "/_hidden.wasm", "/index.wasm", "/%00", "/style.css%00.html",
        "//etc/passwd", "/" + "../" * 50 + "etc/passwd",
        "/%c0%ae%c0%ae/secret", "/%252e%252e/secret", "/..;/secret", "/./../secret", "/.%2e/secret",
        "/style.css/../../secret", "/_hidden/", "/secret%20", "/" + "a" * 50_000,
        "/" + "%2e%2e%2f" * 5000 + "secret", "/%2e%2e%2f" + "b" * 300 + "%00", "/\\..\\secret",
    ],
)  # fmt: skip
def test_paths_that_lead_nowhere(served: Served, target: str) -> None:
    data = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    raw = served.raw(data)
    assert raw.split(b" ")[1] in (b"404", b"400")
    assert b"secret" not in raw.partition(b"\r\n\r\n")[2]
    assert b"root:" not in raw


def test_cors(served: Served) -> None:
    assert served.get("/").headers["access-control-allow-origin"] == "https://a.org"
    reply = served.get("/", origin="https://evil.org")
    assert reply.headers["access-control-allow-origin"] == "https://a.org"


def test_bodies_and_heads_have_limits(served: Served) -> None:
    assert served.ask("POST", "/echo", b"x" * 100_001).status == 413
    chunks = b"".join(b"%x\r\n%s\r\n" % (50_000, b"x" * 50_000) for _ in range(3))
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    last = b"0\r\n\r\nGET / HTTP/1.1\r\nConnection: close\r\nHost: localhost\r\n\r\n"
    assert served.raw(head + chunks + last).startswith(b"HTTP/1.1 413 ")
    huge = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000
    assert served.raw(huge).startswith(b"HTTP/1.1 431 ")
    assert served.raw(b"GET / HTTP/1.1\r\nno header\r\n\r\n").startswith(b"HTTP/1.1 400 ")


def test_slow_clients_keep_nobody_waiting(served: Served) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "
    with ExitStack() as ends:
        for _ in range(200):
            end = socket.create_connection(("127.0.0.1", served.port), timeout=60)
            ends.enter_context(end)
            end.sendall(head)
        assert served.get("/").status == 200


def test_operations_of_a_site_are_out_of_its_way(served: Served) -> None:
    assert served.get("/_wasmlrun/healthz").json == {"live": True}
    assert served.get("/_wasmlrun/readyz").json == {"ready": True}
    metrics = served.get("/_wasmlrun/metrics").body.decode()
    assert 'wasmlrun_requests_total{route="/users/[id]",status="201"}' in metrics
    assert served.get("/metrics").status == 404


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="children are counted in /proc")
def test_a_crash_costs_one_request(served: Served) -> None:
    import threading

    statuses: list[int] = []
    thread = threading.Thread(target=lambda: statuses.append(served.get("/endless").status))
    before = {child: _ticks(child) for child in served.children()}
    thread.start()
    time.sleep(0.5)
    busiest = max(before, key=lambda child: _ticks(child) - before[child])
    os.kill(busiest, signal.SIGABRT)
    thread.join()
    assert statuses == [502]
    assert served.get("/").status == 200
    assert "wasmlrun_child_crashes 1.0" in served.get("/_wasmlrun/metrics").body.decode()


def _ticks(process: int) -> int:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_full_queue_says_when_to_come_again(served: Served) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(10) as threads:
        replies = list(threads.map(served.get, ["/endless"] * 10))
    busy = [reply for reply in replies if reply.status == 503]
    assert busy
    assert all(reply.headers["retry-after"] == "1" for reply in busy)
    assert {reply.status for reply in replies} == {503, 504}


def test_a_client_that_leaves_ends_its_guest(served: Served) -> None:
    head = b"GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n"
    for _ in range(4):
        served.raw(head, close=True)
    time.sleep(0.8)
    assert served.get("/").status == 200
    metrics = served.get("/_wasmlrun/metrics").body.decode()
    assert 'wasmlrun_requests_total{route="gone",status="499"}' in metrics


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="descriptors are counted in /proc")
def test_requests_leave_no_descriptors_behind(served: Served) -> None:
    def held() -> list[int]:
        # the server's own first: connections that were closed may be among them a little longer
        processes = [served.pid, *sorted(served.children())]
        return [len(list(Path(f"/proc/{p}/fd").iterdir())) for p in processes]

    def many(count: int) -> None:
        for _ in range(count):
            assert served.get("/").status == 200
            assert served.get("/trap").status == 500
            assert served.get("/style.css").status == 200

    many(10)
    before = held()
    many(60)
    after = held()
    assert after[1:] == before[1:]
    assert after[0] <= before[0] + 10


def test_sigterm_lets_what_runs_come_to_its_end(folder: Path, environment: dict[str, str]) -> None:
    import threading

    words = ["--timeout", "1", "--processes", "1", "--log", "json"]
    with Served(folder, *words, env=environment, cwd=folder) as server:
        assert server.get("/").status == 200
        line = json.loads(server.logged("{"))
        assert (line["method"], line["route"], line["status"]) == ("GET", "/", 200)
        statuses: list[int] = []
        thread = threading.Thread(target=lambda: statuses.append(server.get("/endless").status))
        thread.start()
        time.sleep(0.4)
        assert server.end() == 143
        thread.join()
        assert statuses == [504]


def test_a_store_in_a_file_a_prefix_and_a_change_on_the_disk(
    folder: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    site.mkdir()
    for name in ("kv.wasm", "kv.toml", "shown.wasm", "shown.toml"):
        (site / name).write_bytes((folder / name).read_bytes())
    (site / "bad.wasm").write_bytes((folder / "echo.wasm").read_bytes())
    (site / "bad.toml").write_text("verion = 1")
    words: list[str | Path] = [
        "--kv",
        tmp_path / "kv",
        "--prefix",
        "app",
        "--reload",
        "--processes",
        "1",
    ]
    with Served(site, *words, env=environment, cwd=tmp_path) as server:
        assert "error: " in server.text
        assert "bad.toml: verion is not a known key" in server.text
        assert server.get("/app/bad").status == 500
        assert server.get("/app/kv").body == b"kept"
        assert server.get("/kv").status == 404
        (site / "kv.wasm").write_bytes(wasmtime.wat2wasm(response("changed", kv={"a": "b"})))
        (site / "new.wasm").write_bytes(wasmtime.wat2wasm(response("new")))
        time.sleep(1.1)
        assert server.get("/app/kv").body == b"changed"
        assert server.get("/app/new").body == b"new"
        assert server.end(signal.SIGINT) == 130
    with Served(site, *words, env=environment, cwd=tmp_path) as server:
        assert server.get("/app/shown").json["kv"] == {"a": "b"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nowhere"], 2, "error: nowhere is no folder"),
        ([".", "--host", "203.0.113.7"], 2, "error: nobody can listen at 203.0.113.7"),
        ([".", "--kv", "none/kv"], 2, "error: --kv none/kv"),
        (["--model", "none.onnx"], 3, "error: model none.onnx does not exist"),
        (["--model", "a=x.onnx", "--model", "a=y.onnx"], 2, "error: two models have one name"),
    ],
)
def test_what_cannot_be_served_is_told(
    words: list[str], code: int, told: str, run_cli: object, tmp_path: Path
) -> None:
    done = run_cli(["serve", "--port", "0", *words], cwd=tmp_path)  # type: ignore[operator]
    assert done.code == code
    assert told in done.stderr


def test_a_folder_with_nothing_in_it_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    with Served(tmp_path, "--processes", "1", env=environment, cwd=tmp_path) as server:
        assert server.get("/").status == 404
        told = f"{tmp_path} has no worker, which ends with .wasm, .js, .py, .rb, and no public/"
        assert told in server.text
