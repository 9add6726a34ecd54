"""`hf:`: files of repositories, by huggingface_hub's conventions."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kit.registry import Page, registry, sha256

from wasmlrun.models.catalogue import RemoteFile
from wasmlrun.models.connection import Transfer
from wasmlrun.models.obtain import obtain
from wasmlrun.models.sources import locate
from wasmlrun.support.errors import DownloadFailed, UsageFault

QUICK = Transfer(retries=0, backoff=0.0, connect_timeout=5, read_timeout=5)
ADDRESS = "hf:owner/repo@abc123/onnx/a model.onnx"


class Quiet:
    def progress(self, *_: object) -> None: ...
    def say(self, _: str) -> None: ...


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HF_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def test_where_the_hub_keeps_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    found = locate(ADDRESS, QUICK)
    assert found.address == "https://huggingface.co/owner/repo/resolve/abc123/onnx/a%20model.onnx"
    assert (found.name, found.headers) == ("a model.onnx", {})
    assert "/resolve/main/net.onnx" in locate("hf:owner/repo/net.onnx", QUICK).address
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.test/")
    assert locate(ADDRESS, QUICK).address.startswith("https://hub.test/owner/repo/")


def test_a_token_stays_with_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub sends to a store of files on another host, which must not see the token."""
    with registry() as hub, registry() as store:
        store.pages["/blob"] = Page(b"model")
        moved = store.url.replace("127.0.0.1", "localhost") + "/blob"
        login = {"Authorization": "Bearer secret"}
        hub.pages["/o/r/resolve/main/m.onnx"] = Page(
            status=302, headers={"Location": moved}, wants=login
        )
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("HF_TOKEN", "secret")
        file = RemoteFile("m.onnx", "hf:o/r/m.onnx", None, sha256(b"model"))
        assert obtain(file, tmp_path / "m.onnx", QUICK, Quiet()).size == 5
        assert "Authorization" not in store.asked[0][1]


def test_a_login_in_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("kept\n")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert locate(ADDRESS, QUICK).headers == {"Authorization": "Bearer kept"}


def test_offline_means_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadFailed, match="HF_HUB_OFFLINE is set"):
        locate(ADDRESS, QUICK)


@pytest.mark.parametrize("address", ["hf:x", "hf:x/y", "hf:x/y@", "hf:/y/z"])
def test_addresses_that_name_no_file(address: str) -> None:
    with pytest.raises(UsageFault, match="names no file of a repository"):
        locate(address, QUICK)
