"""`pypi:`: files of wheels, found as pip finds wheels."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.registry import Page, Registry, registry, sha256, wheel

from wasmlrun.models.connection import Transfer
from wasmlrun.models.sources import locate
from wasmlrun.models.sources.pip_config import read_config
from wasmlrun.support.errors import DownloadFailed, UsageFault

QUICK = Transfer(retries=0, backoff=0.0, connect_timeout=5, read_timeout=5)
WHEEL = "some_model-1.0-py3-none-any.whl"
DATA = wheel({"some_model/net.onnx": b"model"})
ADDRESS = f"pypi:some-model==1.0/{WHEEL}#some_model/net.onnx"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No configuration of this machine's pip counts."""
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The only index that pip is told of."""
    with registry() as found:
        monkeypatch.setenv("PIP_INDEX_URL", found.url + "/simple/")
        yield found


def as_json(*files: dict[str, object]) -> Page:
    body = json.dumps({"meta": {"api-version": "1.1"}, "files": files})
    return Page(body, headers={"Content-Type": "application/vnd.pypi.simple.v1+json"})


def test_an_index_that_speaks_json(index: Registry) -> None:
    index.pages["/simple/some-model/"] = as_json(
        {"filename": "some_model-0.9-py3-none-any.whl", "url": "../old.whl", "hashes": {}},
        {
            "filename": WHEEL,
            "url": "/files/" + WHEEL,
            "hashes": {"sha256": sha256(DATA)},
            "size": len(DATA),
        },
    )
    found = locate(ADDRESS, QUICK)
    assert found.address == f"{index.url}/files/{WHEEL}"
    assert (found.name, found.size) == (WHEEL, len(DATA))
    assert found.digest == ("sha256", sha256(DATA))
    assert found.member == "some_model/net.onnx"
    assert "application/vnd.pypi.simple.v1+json" in index.asked[0][1]["Accept"]


def test_an_index_that_speaks_html(index: Registry) -> None:
    index.pages["/simple/some-model/"] = Page(
        f'<a href="../../files/{WHEEL}#sha256={sha256(DATA)}" data-requires-python="&gt;=3">x</a>',
        headers={"Content-Type": "text/html"},
    )
    # without the wheel's name: any wheel of the version
    found = locate("pypi:Some_Model==1.0#net.onnx", QUICK)
    assert found.address == f"{index.url}/files/{WHEEL}"
    assert found.digest == ("sha256", sha256(DATA))


def test_folders_come_before_indexes(
    index: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    (folder / WHEEL).write_bytes(DATA)
    monkeypatch.setenv("PIP_FIND_LINKS", f"{tmp_path}/none {folder}")
    assert locate(ADDRESS, QUICK).address == (folder / WHEEL).as_uri()
    assert index.asked == []
    monkeypatch.setenv("PIP_FIND_LINKS", (tmp_path / "wheels").as_uri())
    assert locate(ADDRESS, QUICK).address == (folder / WHEEL).as_uri()


def test_a_page_of_links(index: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    index.pages["/links.html"] = Page(f"<a href='{WHEEL}'>w</a><a>no target</a>")
    monkeypatch.setenv("PIP_FIND_LINKS", f"{index.url}/links.html")
    assert locate(ADDRESS, QUICK).address == f"{index.url}/{WHEEL}"


def test_an_index_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path / "simple" / "some-model"
    project.mkdir(parents=True)
    (project / "index.html").write_text(f'<a href="../../{WHEEL}">w</a>')
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    assert locate(ADDRESS, QUICK).address == (tmp_path / WHEEL).as_uri()


def test_the_next_index_is_asked(index: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    index.pages["/more/some-model/"] = as_json({"filename": WHEEL, "url": "/w", "hashes": {}})
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{index.url}/more")
    assert locate(ADDRESS, QUICK).address == f"{index.url}/w"
    assert index.paths() == ["/simple/some-model/", "/more/some-model/"]


def test_a_login_goes_to_its_own_server_only(
    index: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = {"Authorization": "Basic dXNlcjpwQHNz"}
    page = as_json(
        {"filename": "some_model-2.0-py3-none-any.whl", "url": "https://cdn.test/w", "hashes": {}},
        {"filename": WHEEL, "url": "/w", "hashes": {}},
    )
    page.wants = login
    index.pages["/simple/some-model/"] = page
    monkeypatch.setenv(
        "PIP_INDEX_URL", index.url.replace("http://", "http://user:p%40ss@") + "/simple"
    )
    found = locate(ADDRESS, QUICK)
    assert (found.address, found.headers) == (f"{index.url}/w", login)
    other = locate("pypi:some-model==2.0#net.onnx", QUICK)
    assert (other.address, other.headers) == ("https://cdn.test/w", {})


def test_nobody_has_it(index: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DownloadFailed, match=r"no wheel of some-model 1\.0 .* does not know it"):
        locate(ADDRESS, QUICK)
    index.pages["/simple/some-model/"] = as_json()
    with pytest.raises(DownloadFailed, match=r"/simple/some-model/: has none") as caught:
        locate(ADDRESS, QUICK)
    assert "PIP_INDEX_URL" in (caught.value.hint or "")
    index.pages["/simple/some-model/"] = Page(status=403)
    with pytest.raises(DownloadFailed, match="answers 403 Forbidden"):
        locate(ADDRESS, QUICK)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(DownloadFailed, match="no index is configured"):
        locate(ADDRESS, QUICK)


def test_an_index_that_is_none(index: Registry) -> None:
    for body in ("[", "[]", '{"files": [{}]}', '{"files": [1]}'):
        headers = {"Content-Type": "application/vnd.pypi.simple.v1+json"}
        index.pages["/simple/some-model/"] = Page(body, headers=headers)
        with pytest.raises(DownloadFailed, match="is no index of packages"):
            locate(ADDRESS, QUICK)


def test_an_index_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    from kit.http_server import closed_port

    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    with pytest.raises(DownloadFailed, match=r"cannot ask http.*: no connection"):
        locate(ADDRESS, QUICK)


@pytest.mark.parametrize(
    "address", ["pypi:x", "pypi:x==1", "pypi:x>=1#m", "pypi:x==1/../y.whl#m", "pypi:==1#m"]
)
def test_addresses_that_name_no_file(address: str) -> None:
    with pytest.raises(UsageFault, match="names no file in a wheel"):
        locate(address, QUICK)


def test_a_mirror_is_asked_nothing_else() -> None:
    found = locate(ADDRESS, Transfer(mirror="https://mirror.test"))
    assert (found.name, found.member) == (WHEEL, "some_model/net.onnx")


# ------------------------------------------------------------------------- pip's settings


def test_files_of_settings_win_in_pips_order(tmp_path: Path) -> None:
    config = tmp_path / "config" / "pip"
    config.mkdir(parents=True)
    (config / "pip.conf").write_text(
        "[global]\nindex-url = https://user.test/simple/\nextra-index-url =\n  https://a.test\n"
        "  https://b.test\nfind_links = /wheels\n[install]\ncert = /own.pem\n"
    )
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
    found = read_config(environ)
    assert found.indexes == ["https://user.test/simple", "https://a.test", "https://b.test"]
    assert (found.find_links, found.authority) == (["/wheels"], "/own.pem")
    named = tmp_path / "named.conf"
    named.write_text("[global]\nindex-url = https://named.test\n")
    found = read_config({**environ, "PIP_CONFIG_FILE": str(named)})
    assert found.indexes[0] == "https://named.test"
    found = read_config(
        {**environ, "PIP_CONFIG_FILE": str(named), "PIP_INDEX_URL": "https://env.test"}
    )
    assert found.indexes[0] == "https://env.test"


def test_pip_says_the_same(tmp_path: Path) -> None:
    """What pip itself makes of a machine's settings."""
    import subprocess
    import sys

    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode:
        if os.environ.get("CI"):
            pytest.fail("this Python has no pip")
        pytest.skip("this Python has no pip")
    config = tmp_path / "pip"
    config.mkdir()
    (config / "pip.conf").write_text(
        "[global]\nindex-url = https://user.test/simple\nextra-index-url = https://a.test\n"
        "    https://b.test\n[download]\nfind-links = /one /two\n"
    )
    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    del environ["PIP_CONFIG_FILE"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"],
        env=environ,
        capture_output=True,
        text=True,
        check=True,
    )
    said = dict(line.split("=", 1) for line in done.stdout.splitlines())
    found = read_config(environ)
    assert said["global.index-url"].strip("'") == found.indexes[0]
    assert said["global.extra-index-url"].strip("'").split("\\n") == list(found.indexes[1:])
    assert said["download.find-links"].strip("'").split() == list(found.find_links)


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    named = tmp_path / "pip.conf"
    named.write_text("no section = 1\n")
    with pytest.raises(DownloadFailed, match=r"pip's configuration .* cannot be read"):
        read_config({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(named)})


def test_a_certificate_that_is_not_there(
    index: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "none.pem"))
    with pytest.raises(DownloadFailed, match=r"none\.pem cannot be used"):
        locate(ADDRESS, QUICK)
