"""`npm:`: files of npm packages, from the registry that npm would ask."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.registry import Page, Registry, registry

from wasmlrun.models.connection import Transfer
from wasmlrun.models.sources import locate
from wasmlrun.support.errors import DownloadFailed, UsageFault

QUICK = Transfer(retries=0, backoff=0.0, connect_timeout=5, read_timeout=5)
ADDRESS = "npm:@scope/model@1.2.0#weights/net.tflite"
DIGEST = hashlib.sha512(b"tarball")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.lower().startswith("npm_config"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NPM_CONFIG_GLOBALCONFIG", str(tmp_path / "none"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    with registry() as found:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", found.url + "/npm/")
        yield found


def described(url: str, integrity: str | None = None) -> Page:
    dist = {"tarball": url} | ({"integrity": integrity} if integrity else {})
    return Page(json.dumps({"versions": {"1.1.0": {}, "1.2.0": {"dist": dist}}}))


def test_a_tarball_is_found_with_its_digest(server: Registry) -> None:
    integrity = "sha512-" + base64.b64encode(DIGEST.digest()).decode()
    server.pages["/npm/@scope%2Fmodel"] = described(f"{server.url}/x/model-1.2.0.tgz", integrity)
    found = locate(ADDRESS, QUICK)
    assert (found.address, found.name) == (f"{server.url}/x/model-1.2.0.tgz", "model-1.2.0.tgz")
    assert found.digest == ("sha512", DIGEST.hexdigest())
    assert found.member == "package/weights/net.tflite"


def test_registries_of_scopes_and_tokens(
    server: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    monkeypatch.setenv("MY_TOKEN", "secret")
    place = server.url.removeprefix("http:")
    (tmp_path / ".npmrc").write_text(
        f"; a comment\nregistry=https://other.test\n@scope:registry={server.url}/own/\n"
        f"{place}/own/:_authToken=${{MY_TOKEN}}\n"
    )
    page = described(f"{server.url}/t.tgz")
    page.wants = {"Authorization": "Bearer secret"}
    server.pages["/own/@scope%2Fmodel"] = page
    found = locate(ADDRESS, QUICK)
    assert found.headers == {"Authorization": "Bearer secret"}
    server.pages["/own/@scope%2Fmodel"] = described("https://cdn.test/t.tgz")
    assert locate(ADDRESS, QUICK).headers == {}, "a token is for its own registry only"


def test_what_a_registry_does_not_have(server: Registry) -> None:
    with pytest.raises(DownloadFailed, match=r"does not give npm package @scope/model: .* 404"):
        locate(ADDRESS, QUICK)
    server.pages["/npm/@scope%2Fmodel"] = described("x")
    with pytest.raises(DownloadFailed, match=r"has no version 9\.0\.0") as caught:
        locate("npm:@scope/model@9.0.0#x", QUICK)
    assert caught.value.hint == "it has 1.1.0, 1.2.0"
    for body in ("[", "[]", '{"versions": {"1.2.0": {}}}', '{"versions": []}'):
        server.pages["/npm/@scope%2Fmodel"] = Page(body)
        with pytest.raises(DownloadFailed):
            locate(ADDRESS, QUICK)
    server.pages["/npm/@scope%2Fmodel"] = described("x", "sha512-*")
    with pytest.raises(DownloadFailed, match="is damaged"):
        locate(ADDRESS, QUICK)


@pytest.mark.parametrize("address", ["npm:x", "npm:x@1", "npm:x#m", "npm:../x@1#m", "npm:@1#m"])
def test_addresses_that_name_no_file(address: str) -> None:
    with pytest.raises(UsageFault, match="names no file in an npm package"):
        locate(address, QUICK)
