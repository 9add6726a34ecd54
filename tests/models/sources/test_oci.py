"""`oci:`: layers of ModelPacks and other artifacts, from a registry of the OCI distribution API."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kit.registry import Page, Registry, registry, sha256, tarball

from wasmlrun.models.catalogue import RemoteFile
from wasmlrun.models.connection import Transfer
from wasmlrun.models.obtain import obtain
from wasmlrun.models.sources import locate
from wasmlrun.support.errors import DownloadFailed, UsageFault

QUICK = Transfer(retries=0, backoff=0.0, connect_timeout=5, read_timeout=5)
RAW = "application/vnd.cncf.model.weight.v1.raw"
TAR = "application/vnd.cncf.model.weight.v1.tar+gzip"
DOC = "application/vnd.cncf.model.doc.v1.raw"
TITLE = "org.opencontainers.image.title"
FILEPATH = "org.cncf.model.filepath"


class Quiet:
    def progress(self, *_: object) -> None: ...
    def say(self, _: str) -> None: ...


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Registry]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with registry() as found:
        yield found


def layer(server: Registry, data: bytes, kind: str, path: str = "", key: str = FILEPATH) -> Any:
    """Push a layer, as a manifest names it."""
    server.pages[f"/v2/team/model/blobs/sha256:{sha256(data)}"] = Page(data)
    return {
        "mediaType": kind,
        "digest": f"sha256:{sha256(data)}",
        "size": len(data),
        "annotations": {key: path} if path else None,
    }


def push(server: Registry, *layers: Any, reference: str = "v1") -> str:
    """Push a manifest; its digest comes back."""
    body = json.dumps({"schemaVersion": 2, "layers": layers}).encode()
    for name in (reference, f"sha256:{sha256(body)}"):
        server.pages[f"/v2/team/model/manifests/{name}"] = Page(body)
    return f"sha256:{sha256(body)}"


def address(server: Registry, rest: str) -> str:
    return f"oci:{server.url.removeprefix('http://')}/team/model{rest}"


def test_the_only_weights_are_meant(server: Registry, tmp_path: Path) -> None:
    digest = push(
        server, layer(server, b"readme", DOC, "README.md"), layer(server, b"w", RAW, "net.onnx")
    )
    for rest in (":v1", f":v1@{digest}", f"@{digest}"):
        found = locate(address(server, rest), QUICK)
        assert (found.name, found.size) == ("net.onnx", 1)
        assert found.digest == ("sha256", sha256(b"w"))
    file = RemoteFile("net.onnx", address(server, ":v1"))
    got = obtain(file, tmp_path / "net.onnx", QUICK, Quiet())
    assert (tmp_path / "net.onnx").read_bytes() == b"w"
    assert (got.sha256, got.address) == (sha256(b"w"), file.address)


def test_a_file_by_its_path(server: Registry) -> None:
    push(
        server,
        layer(server, b"a", RAW, "a.xml", TITLE),
        layer(server, b"b", RAW, "a.bin", TITLE),
    )
    assert locate(address(server, ":v1#a.bin"), QUICK).digest == ("sha256", sha256(b"b"))
    with pytest.raises(DownloadFailed, match="has several files") as caught:
        locate(address(server, ":v1"), QUICK)
    assert "a.xml, a.bin" in (caught.value.hint or "")
    with pytest.raises(DownloadFailed, match=r"has no file c\.bin"):
        locate(address(server, ":v1#c.bin"), QUICK)


def test_a_file_in_a_layer_that_is_a_tarball(server: Registry, tmp_path: Path) -> None:
    packed = tarball({"m/net.onnx": b"weights"})
    push(server, layer(server, packed, TAR))
    file = RemoteFile("net.onnx", address(server, ":v1#m/net.onnx"))
    obtain(file, tmp_path / "net.onnx", QUICK, Quiet())
    assert (tmp_path / "net.onnx").read_bytes() == b"weights"


def test_a_registry_that_wants_a_token(server: Registry, tmp_path: Path) -> None:
    push(server, layer(server, b"w", RAW, "net.onnx"))
    login = base64.b64encode(b"me:secret").decode()
    host = server.url.removeprefix("http://")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))
    bearer = {"Authorization": "Bearer t0ken"}
    challenge = f'Bearer realm="{server.url}/token",service="here",scope="repository:x:pull"'
    page = server.pages["/v2/team/model/manifests/v1"]
    page.wants, page.headers = bearer, {"WWW-Authenticate": challenge}
    for path, kept in list(server.pages.items()):
        if "/blobs/" in path:
            kept.wants = bearer
    server.pages["/token?scope=repository%3Ax%3Apull&service=here"] = Page(
        '{"token": "t0ken"}', wants={"Authorization": f"Basic {login}"}
    )
    file = RemoteFile("net.onnx", address(server, ":v1"))
    obtain(file, tmp_path / "net.onnx", QUICK, Quiet())
    assert (tmp_path / "net.onnx").read_bytes() == b"w"
    page.headers = {"WWW-Authenticate": 'Bearer realm="http://elsewhere.test/token"'}
    with pytest.raises(DownloadFailed, match="which is not https"):
        locate(address(server, ":v1"), QUICK)
    page.wants = {"Authorization": f"Basic {login}"}
    page.headers = {"WWW-Authenticate": 'Basic realm="x"'}
    assert locate(address(server, ":v1"), QUICK).headers == page.wants


def test_what_is_not_what_it_says(server: Registry, tmp_path: Path) -> None:
    digest = push(server, layer(server, b"w", RAW, "net.onnx"))
    server.pages[f"/v2/team/model/manifests/{digest}"] = Page(b'{"layers": []}')
    with pytest.raises(DownloadFailed, match="gives another manifest than sha256:"):
        locate(address(server, f"@{digest}"), QUICK)
    server.pages[f"/v2/team/model/blobs/sha256:{sha256(b'w')}"] = Page(b"x")
    file = RemoteFile("net.onnx", address(server, ":v1"))
    with pytest.raises(DownloadFailed, match="is not the file that is expected"):
        obtain(file, tmp_path / "net.onnx", QUICK, Quiet())
    assert list(tmp_path.glob("net*")) == []
    for body in (b"[", b"{}", b'{"layers": [{"digest": "md5:0"}]}'):
        server.pages["/v2/team/model/manifests/v1"] = Page(body)
        with pytest.raises(DownloadFailed, match="is no artifact"):
            locate(address(server, ":v1"), QUICK)
    with pytest.raises(DownloadFailed, match=r"does not give team/model:none: .* 404"):
        locate(address(server, ":none"), QUICK)


@pytest.mark.parametrize(
    "name", ["oci:host/x", "oci:host", "oci:host/x@sha256:0", "oci:host/../x:1"]
)
def test_addresses_that_name_no_artifact(name: str) -> None:
    with pytest.raises(UsageFault, match="names no artifact"):
        locate(name, QUICK)
