"""Who may ask a server: under which names, from which pages, and how often."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from kit.core_guests import ENDLESS, printing
from kit.served import Served

from wasmlrun.serve import admission
from wasmlrun.serve.admission import Names, Rates, TooMany, check_origin, client_of
from wasmlrun.serve.answers import Refused


def scope(*headers: tuple[str, str], client: str = "192.0.2.1", version: str = "1.1") -> Any:
    pairs = [(name.encode(), value.encode()) for name, value in headers]
    return {"headers": pairs, "client": (client, 1), "http_version": version}


def status(check: Callable[[], object]) -> int:
    try:
        check()
    except Refused as refused:
        return refused.status
    return 200


@pytest.mark.parametrize(
    ("listening", "allowed", "host", "expected"),
    [
        ("127.0.0.1", (), "localhost:8080", 200),
        ("127.0.0.1", (), "LOCALHOST.", 200),
        ("127.0.0.1", (), "site.localhost", 200),
        ("127.0.0.1", (), "127.0.0.1:8080", 200),
        ("::1", (), "[::1]:8080", 200),
        ("localhost", (), "localhost", 200),
        ("127.0.0.1", (), "192.0.2.7", 200),  # a number points where it points
        ("127.0.0.1", (), "rebound.example", 421),
        ("127.0.0.1", (), "localhost.example", 421),
        ("127.0.0.1", (), "127.0.0.1.example", 421),
        ("127.0.0.1", ("Site.example",), "site.example:443", 200),
        ("127.0.0.1", ("site.example",), "other.example", 421),
        ("0.0.0.0", (), "any.example", 200),
        ("0.0.0.0", ("site.example",), "any.example", 421),
        ("127.0.0.1", (), "a b", 400),
        ("127.0.0.1", (), "localhost/x", 400),
        ("127.0.0.1", (), "user@localhost", 400),
        ("127.0.0.1", (), "localhost:port", 400),
        ("127.0.0.1", (), "", 400),
        ("127.0.0.1", (), "[::1", 400),
    ],
)
def test_names(listening: str, allowed: tuple[str, ...], host: str, expected: int) -> None:
    names = Names(listening, allowed)
    assert status(lambda: names.check(scope(("host", host)))) == expected


def test_one_name_in_one_header() -> None:
    names = Names("0.0.0.0", ())
    assert status(lambda: names.check(scope(("host", "a"), ("host", "a")))) == 400
    assert status(lambda: names.check(scope())) == 400
    assert status(lambda: names.check(scope(version="1.0"))) == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("host", "localhost:8080")], 200),
        ([("host", "localhost:8080"), ("origin", "http://localhost:8080")], 200),
        ([("host", "site.example"), ("origin", "https://SITE.example")], 200),
        ([("host", "localhost:8080"), ("origin", "http://localhost:9090")], 403),
        ([("host", "localhost:8080"), ("origin", "https://evil.example")], 403),
        ([("host", "localhost:8080"), ("origin", "null")], 403),
        ([("host", "localhost:8080"), ("origin", "")], 403),
        ([("origin", "null")], 403),
    ],
)
def test_origins(headers: list[tuple[str, str]], expected: int) -> None:
    assert status(lambda: check_origin(scope(*headers))) == expected


def test_clients_are_addresses_and_networks() -> None:
    assert client_of(scope(client="192.0.2.1")) == "192.0.2.1"
    assert client_of(scope(client="::ffff:192.0.2.1")) == "192.0.2.1"
    assert client_of(scope(client="2001:db8::1")) == client_of(scope(client="2001:db8::ffff:2"))
    assert client_of(scope(client="2001:db8::1")) != client_of(scope(client="2001:db8:0:1::1"))
    assert client_of(scope(client="fe80::1%eth0")) == "fe80::/64"
    assert client_of({"client": None}) == "-"


def test_requests_at_the_same_time() -> None:
    rates = Rates(2, None)
    first, second = rates.enter(scope()), rates.enter(scope())
    with pytest.raises(TooMany, match="2 requests at the same time") as caught:
        rates.enter(scope())
    assert (caught.value.status, caught.value.headers) == (429, (("retry-after", "1"),))
    other = rates.enter(scope(client="192.0.2.2"))
    rates.leave(first)
    rates.leave(rates.enter(scope()))
    rates.leave(second)
    rates.leave(other)
    assert rates._running == {}


def test_requests_in_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    rates = Rates(None, 2)
    for _ in range(2):
        rates.enter(scope())
    with pytest.raises(TooMany, match="2 times a second"):
        rates.enter(scope())
    rates.enter(scope(client="192.0.2.2"))
    now += 0.5
    rates.enter(scope())
    with pytest.raises(TooMany):
        rates.enter(scope())
    now += 3600  # what was not used is not saved
    for _ in range(2):
        rates.enter(scope())
    slow = Rates(None, 0.1)
    slow.enter(scope())
    with pytest.raises(TooMany) as caught:
        slow.enter(scope())
    assert caught.value.headers == (("retry-after", "10"),)


def test_clients_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_KEPT", 10)
    rates = Rates(None, 1)
    for number in range(100):
        rates.leave(rates.enter(scope(client=f"192.0.2.{number}")))
    assert len(rates._buckets) == 10
    assert not rates._running
    assert not Rates(None, None).limited


# --- a server -----------------------------------------------------------------------------------

HELLO = printing(json.dumps({"data": "hello", "status": 200, "headers": {}, "kv": {}}))


@pytest.fixture(scope="module")
def environment(own_home: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **own_home}


@pytest.fixture(scope="module")
def served(
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
    make_worker: Callable[..., Path],
    colours: Path,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("admitted")
    for name, guest in (("hello", HELLO), ("endless", ENDLESS)):
        made = make_worker(folder / "made", guest)
        made.rename(folder / f"{name}.wasm")
    words = ["--model", str(colours), "--processes", "2", "--per-client", "1", "--timeout", "4"]
    with Served(folder, *words, env=environment, cwd=folder) as server:
        yield server


def test_another_name_is_told_how_it_may_be_used(served: Served) -> None:
    for path in ("/hello", "/classify", "/healthz", "/", "/web/page.js"):
        reply = served.get(path, host="rebound.example")
        assert reply.status == 421, path
        assert "--allow-host rebound.example" in reply.json["error"]["message"]
    assert served.get("/hello", host="localhost").body == b"hello"


@pytest.mark.parametrize("path", ["/classify", "/v2/models/colours/infer"])
def test_pages_of_others_do_not_post(served: Served, path: str) -> None:
    reply = served.ask("POST", path, b"x", {"origin": "https://evil.example"})
    assert reply.status == 403
    own = served.ask("POST", path, b"x", {"origin": f"http://127.0.0.1:{served.port}"})
    assert own.status == 400  # it is read, and is no picture


def test_a_site_judges_its_requests_itself(served: Served) -> None:
    reply = served.ask("POST", "/hello", b"x", {"origin": "https://other.example"})
    assert (reply.status, reply.body) == (200, b"hello")


def test_a_client_with_too_many_requests_is_told_when_to_come_again(served: Served) -> None:
    seen: list[int] = []
    until = time.monotonic() + 120
    while 429 not in seen:  # whichever of the two came first
        assert time.monotonic() < until, seen
        running = threading.Thread(target=served.get, args=("/endless",))
        running.start()
        while running.is_alive() and 429 not in seen:
            reply = served.get("/hello")
            seen.append(reply.status)
        running.join()
    assert reply.headers["retry-after"] == "1"
    assert reply.json["error"]["code"] == "too-many"
    assert served.get("/hello").status == 200
