"""Downloads from a server that cuts, lies, stalls and answers with errors."""

from __future__ import annotations

import hashlib
import io
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kit.http_server import Act, FileServer, closed_port, serving

from wasmlrun.models.catalogue import RemoteFile
from wasmlrun.models.connection import Transfer
from wasmlrun.models.download import _Fetch, address_of, fetch
from wasmlrun.support.errors import DownloadFailed, UsageFault
from wasmlrun.support.filelock import exclusive

DATA = random.Random(3).randbytes(300_000)
NAME = "model.tflite"
QUICK = Transfer(retries=2, backoff=0.01, connect_timeout=5, read_timeout=5)


class Ear:
    """A watcher that remembers."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.done: list[int] = []
        self.totals: set[int | None] = set()

    def progress(self, name: str, done: int, total: int | None) -> None:
        self.done.append(done)
        self.totals.add(total)

    def say(self, text: str) -> None:
        self.heard.append(text)


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[FileServer]:
    with serving({NAME: DATA}) as found:
        yield found


def wanted(server: FileServer, data: bytes = DATA, **changes: Any) -> RemoteFile:
    known: dict[str, Any] = {
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        **changes,
    }
    return RemoteFile(NAME, f"{server.url}/{NAME}", **known)


def get(server: FileServer, tmp_path: Path, ear: Ear | None = None, **changes: Any) -> RemoteFile:
    return fetch(wanted(server, **changes), tmp_path / NAME, QUICK, ear or Ear())


def fails(server: FileServer, tmp_path: Path, **changes: Any) -> DownloadFailed:
    with pytest.raises(DownloadFailed) as caught:
        get(server, tmp_path, **changes)
    assert not (tmp_path / NAME).exists(), "a file that is not right must not get its name"
    return caught.value


def test_a_file_arrives_whole(server: FileServer, tmp_path: Path) -> None:
    ear = Ear()
    found = get(server, tmp_path, ear)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert (found.size, found.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())
    assert [p.name for p in tmp_path.iterdir()] == [NAME], "nothing else is left"
    assert ear.done == sorted(ear.done)
    assert ear.done[-1] == len(DATA)
    assert ear.totals == {len(DATA)}


def test_size_and_digest_may_be_unknown(server: FileServer, tmp_path: Path) -> None:
    found = get(server, tmp_path, size=None, sha256=None)
    assert (found.size, found.sha256) == (len(DATA), hashlib.sha256(DATA).hexdigest())


def test_a_cut_connection_is_resumed_where_it_was_cut(server: FileServer, tmp_path: Path) -> None:
    server.acts[NAME] = [Act(cut=100_000), Act(cut=50_000)]
    ear = Ear()
    get(server, tmp_path, ear)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert server.ranges(NAME) == [None, "bytes=100000-", "bytes=150000-"]
    assert len(ear.heard) == 2
    assert "the connection was cut; trying again in 0.0 s" in ear.heard[0]


def test_a_line_that_always_brings_something_is_not_given_up(
    server: FileServer, tmp_path: Path
) -> None:
    server.always[NAME] = Act(cut=40_000)
    get(server, tmp_path)
    assert len(server.log) == 8, "more cuts than retries, each after some progress"


def test_a_line_that_brings_nothing_is_given_up(server: FileServer, tmp_path: Path) -> None:
    server.always[NAME] = Act(cut=0)
    error = fails(server, tmp_path)
    assert error.exit_code == 3
    assert "the connection was cut" in error.message
    assert f"{server.url}/{NAME}" in error.message
    assert "--mirror URL or WASMLRUN_MIRROR=URL" in (error.hint or "")
    assert len(server.log) == 1 + QUICK.retries


def test_a_later_process_continues_the_part(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(DATA[:123_456])
    get(server, tmp_path)
    assert server.ranges(NAME) == ["bytes=123456-"]
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_complete_part_is_checked_without_asking(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(DATA)
    get(server, tmp_path)
    assert server.log == []


@pytest.mark.parametrize("length", [1000, len(DATA), len(DATA) + 5])
def test_a_part_of_another_file_is_thrown_away(
    server: FileServer, tmp_path: Path, length: int
) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(b"z" * length)
    get(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_without_a_digest_a_part_is_not_trusted(server: FileServer, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(DATA[:1000])
    get(server, tmp_path, sha256=None)
    assert server.ranges(NAME) == [None]


@pytest.mark.parametrize(
    ("headers", "ranges"),
    [
        ({}, [None, None]),
        ({"ETag": '"v1"'}, [None, "bytes=1000-"]),
        ({"ETag": 'W/"v1"'}, [None] * 2),
    ],
)
def test_without_a_digest_only_a_version_lets_it_continue(
    server: FileServer, tmp_path: Path, headers: dict[str, str], ranges: list[str | None]
) -> None:
    server.acts[NAME] = [Act(cut=1000, headers=headers)]
    get(server, tmp_path, sha256=None)
    assert server.ranges(NAME) == ranges
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_server_without_ranges_sends_it_all_again(server: FileServer, tmp_path: Path) -> None:
    server.acts[NAME] = [Act(cut=1000), Act(no_ranges=True)]
    get(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_server_that_continues_elsewhere(server: FileServer, tmp_path: Path) -> None:
    server.acts[NAME] = [Act(cut=1000), Act(wrong_range=True)]
    get(server, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_wrong_bytes_are_refused_with_both_digests(server: FileServer, tmp_path: Path) -> None:
    wrong = DATA[:-1] + b"!"
    server.always[NAME] = Act(body=wrong)
    error = fails(server, tmp_path)
    assert hashlib.sha256(wrong).hexdigest() in error.message
    assert hashlib.sha256(DATA).hexdigest() in error.message
    assert list(tmp_path.iterdir()) == [], "not even a part is kept"
    assert len(server.log) == 1, "the same address would give the same bytes"


@pytest.mark.parametrize("body", [DATA[:-1], DATA + b"!", b""])
def test_wrong_sizes_are_refused_before_they_are_read(
    server: FileServer, tmp_path: Path, body: bytes
) -> None:
    server.always[NAME] = Act(body=body)
    error = fails(server, tmp_path)
    assert f"has {len(body)} bytes; the file that is expected has {len(DATA)}" in error.message
    assert len(server.log) == 1


def test_a_server_that_never_stops_cannot_fill_the_disk(server: FileServer, tmp_path: Path) -> None:
    server.always[NAME] = Act(endless=True)
    error = fails(server, tmp_path)
    assert f"more than the {len(DATA)} bytes" in error.message
    assert sum(p.stat().st_size for p in tmp_path.iterdir()) == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_refusals_are_not_repeated(server: FileServer, tmp_path: Path, status: int) -> None:
    server.always[NAME] = Act(status=status)
    error = fails(server, tmp_path)
    assert f"the server answers {status}" in error.message
    assert len(server.log) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(
    server: FileServer, tmp_path: Path, status: int
) -> None:
    server.acts[NAME] = [Act(status=status), Act(status=status)]
    ear = Ear()
    get(server, tmp_path, ear)
    assert len(server.log) == 3
    assert f"the server answers {status}" in ear.heard[0]


def test_waits_double(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("wasmlrun.models.download.time.sleep", waits.append)
    server.acts[NAME] = [Act(status=503)] * 4 + [Act(status=503, headers={"Retry-After": "9"})]
    fetch(wanted(server), tmp_path / NAME, Transfer(retries=5, backoff=0.5), Ear())
    assert waits == [0.5, 1.0, 2.0, 4.0, 9.0]


def test_a_server_that_falls_silent(server: FileServer, tmp_path: Path) -> None:
    server.acts[NAME] = [Act(hold=131_072)]
    ear = Ear()
    started = time.monotonic()
    fetch(wanted(server), tmp_path / NAME, replace(QUICK, read_timeout=0.3), ear)
    assert time.monotonic() - started < QUICK.connect_timeout, "each limit for its own"
    assert "the server does not answer" in ear.heard[0]
    assert server.ranges(NAME) == [None, "bytes=131072-"]


def test_redirects_are_followed_but_not_for_ever(server: FileServer, tmp_path: Path) -> None:
    server.acts[NAME] = [Act(status=302, headers={"Location": f"{server.url}/other"})]
    server.files["other"] = DATA
    get(server, tmp_path)
    (tmp_path / NAME).unlink()
    server.always[NAME] = Act(status=302, headers={"Location": f"{server.url}/{NAME}"})
    assert "without an end" in fails(server, tmp_path).message


def test_no_network(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{closed_port()}/{NAME}"
    with pytest.raises(DownloadFailed) as caught:
        fetch(RemoteFile(NAME, address, 1, "0" * 64), tmp_path / NAME, QUICK, Ear())
    assert f"cannot download {address}: no connection (Connection refused)" in caught.value.message
    assert "check the network" in (caught.value.hint or "")
    assert f"mirror that holds {NAME}" in (caught.value.hint or "")


def test_an_unknown_host(tmp_path: Path) -> None:
    file = RemoteFile(NAME, f"http://no-such-host.invalid/{NAME}", 1, "0" * 64)
    with pytest.raises(DownloadFailed, match=r"no-such-host\.invalid is not known here"):
        fetch(file, tmp_path / NAME, Transfer(retries=0), Ear())


def test_no_encryption_where_it_is_asked_for(server: FileServer, tmp_path: Path) -> None:
    file = RemoteFile(NAME, wanted(server).address.replace("http:", "https:"), 1, "0" * 64)
    with pytest.raises(DownloadFailed, match="no encrypted connection"):
        fetch(file, tmp_path / NAME, Transfer(retries=0), Ear())


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody trusts, and its key."""
    if shutil.which("openssl") is None:
        reason = "no openssl to make a certificate with"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(path), "-out", f"{path}.crt"]
    subprocess.run([*command.split(), *names, *files], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_certificate_must_be_trusted(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving({NAME: DATA}, certificate) as server:
        error = fails(server, tmp_path)
        assert "its certificate is not trusted" in error.message
        assert "SSL_CERT_FILE" in (error.hint or "")
        assert server.log == []
        monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
        get(server, tmp_path)
        assert (tmp_path / NAME).read_bytes() == DATA


def test_a_redirect_may_leave_encryption_only_with_a_digest(
    certificate: Path, server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", f"{certificate}.crt")
    with serving({}, certificate) as secure:
        secure.always[NAME] = Act(status=302, headers={"Location": f"{server.url}/{NAME}"})
        error = fails(secure, tmp_path, sha256=None)
        assert "leads to an address without encryption" in error.message
        get(secure, tmp_path)
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_proxy_of_the_environment_is_used(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    file = RemoteFile(NAME, f"http://models.invalid/{NAME}", len(DATA), wanted(server).sha256)
    fetch(file, tmp_path / NAME, QUICK, Ear())
    assert (tmp_path / NAME).read_bytes() == DATA
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port()}")
    (tmp_path / NAME).unlink()
    with pytest.raises(DownloadFailed, match="the proxy gives no connection"):
        fetch(file, tmp_path / NAME, Transfer(retries=0), Ear())


def test_mirrors_hold_files_under_their_own_names(server: FileServer, tmp_path: Path) -> None:
    file = RemoteFile(NAME, "https://no-such-host.invalid/a/b?c", len(DATA), wanted(server).sha256)
    for mirror in (server.url, f"{server.url}/", f"{server.url}/some/folder"):
        fetch(file, tmp_path / NAME, Transfer(mirror=mirror, retries=0), Ear())
    assert address_of(file, None) == "https://no-such-host.invalid/a/b?c"
    server.files.clear()
    with pytest.raises(DownloadFailed) as caught:
        fetch(file, tmp_path / "x", Transfer(mirror=server.url, retries=0), Ear())
    assert "check the mirror" in (caught.value.hint or "")
    for wrong in ("", "mirror", "/srv/models", "ftp://x"):
        with pytest.raises(UsageFault, match="is not an address to fetch"):
            address_of(file, wrong)


def test_a_folder_is_a_mirror(tmp_path: Path, server: FileServer) -> None:
    folder = tmp_path / "a folder with ü"
    folder.mkdir()
    (folder / NAME).write_bytes(DATA)
    file = RemoteFile(NAME, "https://no-such-host.invalid/x", len(DATA), wanted(server).sha256)
    transfer = Transfer(mirror=folder.as_uri())
    ear = Ear()
    fetch(file, tmp_path / NAME, transfer, ear)
    assert (tmp_path / NAME).read_bytes() == DATA
    assert ear.done[-1] == len(DATA)
    (folder / NAME).write_bytes(DATA[:-1])
    with pytest.raises(DownloadFailed, match="the file that is expected has"):
        fetch(file, tmp_path / "other", transfer, Ear())
    (folder / NAME).write_bytes(DATA[::-1])
    with pytest.raises(DownloadFailed, match="its sha256 is"):
        fetch(file, tmp_path / "other", transfer, Ear())
    (folder / NAME).unlink()
    with pytest.raises(DownloadFailed, match="No such file"):
        fetch(file, tmp_path / "other", transfer, Ear())
    assert not (tmp_path / "other").exists()


def test_schemes_that_are_not_fetched(tmp_path: Path) -> None:
    for address in ("ftp://host/file", "data:,x", "nonsense", "http://[broken/x"):
        with pytest.raises((DownloadFailed, UsageFault)):
            fetch(RemoteFile(NAME, address, 1, "0" * 64), tmp_path / NAME, QUICK, Ear())


def test_an_interrupted_download_leaves_a_part_that_continues(
    server: FileServer, tmp_path: Path
) -> None:
    """kill -9 in the middle: no file of the name, and the next attempt goes on."""
    server.acts[NAME] = [Act(hold=131_072)]
    file = wanted(server)
    program = (
        "from wasmlrun.models.catalogue import RemoteFile\n"
        "from wasmlrun.models.connection import Transfer\n"
        "from wasmlrun.models.download import fetch\n"
        "from wasmlrun.support.messages import Messages\n"
        "from wasmlrun.models.progress import Lines\n"
        "from pathlib import Path\n"
        f"file = RemoteFile({NAME!r}, {file.address!r}, {file.size}, {file.sha256!r})\n"
        f"fetch(file, Path({str(tmp_path / NAME)!r}), Transfer(), Lines(Messages()))\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.DEVNULL)
    part = tmp_path / f"{NAME}.part"
    assert server.held.wait(20)
    deadline = time.monotonic() + 10
    while not (part.exists() and part.stat().st_size >= 65_536) and time.monotonic() < deadline:
        time.sleep(0.01)
    child.kill()
    child.wait()
    kept = part.stat().st_size
    assert kept >= 65_536
    assert not (tmp_path / NAME).exists()
    get(server, tmp_path)
    assert server.ranges(NAME)[-1] == f"bytes={kept}-"
    assert (tmp_path / NAME).read_bytes() == DATA


def test_a_lock_is_held_by_one(tmp_path: Path) -> None:
    order: list[str] = []
    inside = threading.Event()

    def second() -> None:
        inside.wait(5)
        with exclusive(tmp_path / "lock", lambda: order.append("waits")):
            order.append("second")

    thread = threading.Thread(target=second)
    thread.start()
    with exclusive(tmp_path / "lock", lambda: order.append("never")):
        inside.set()
        deadline = time.monotonic() + 5
        while not order and time.monotonic() < deadline:
            time.sleep(0.005)
        order.append("first done")
    thread.join()
    assert order == ["waits", "first done", "second"]


@pytest.mark.parametrize(
    ("start", "location"),
    [
        ("https://host/a", "HTTP://host/b"),
        ("https://host/a", "hTTp://host/b"),
        ("https://host/a", "http://127.0.0.1/b"),
        ("http://127.0.0.1/a", "http://host/b"),
        ("http://127.0.0.1/a", "//host/b"),
    ],
)
def test_no_redirect_leaves_encryption_however_it_is_written(start: str, location: str) -> None:
    response = SimpleNamespace(
        status=200, retries=SimpleNamespace(history=[SimpleNamespace(redirect_location=location)])
    )
    fetching = _Fetch(RemoteFile(NAME, start), start, Path(NAME), Transfer(), Ear())
    with pytest.raises(DownloadFailed, match="leads to an address without encryption"):
        fetching._check_status(cast(Any, response), io.BytesIO(), 0)
    known = RemoteFile(NAME, start, sha256="0" * 64)
    _Fetch(known, start, Path(NAME), Transfer(), Ear())._check_status(
        cast(Any, response), io.BytesIO(), 0
    )


@pytest.mark.parametrize("address", ["http://host.invalid/a", "HTTP://host.invalid/a"])
def test_without_a_digest_the_first_address_is_encrypted_too(address: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadFailed, match="is an address without encryption") as caught:
        fetch(RemoteFile(NAME, address), tmp_path / NAME, Transfer(retries=0), Ear())
    assert "--sha256" in (caught.value.hint or "")
