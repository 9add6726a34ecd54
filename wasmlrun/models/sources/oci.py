"""`oci:HOST/NAME:TAG[@sha256:…][#PATH]`: a file of a ModelPack, or of any OCI artifact.

A registry keeps an artifact as a manifest and layers, each named by its sha256. A layer that
holds one file says its path in an annotation; one that is a tarball is looked into. Logins come
from the file that `docker login` and `oras login` write.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from wasmlrun.models.connection import Document, Transfer, document, status_text
from wasmlrun.models.sources.located import Located
from wasmlrun.support.errors import DownloadFailed, UsageFault

_ADDRESS = re.compile(
    r"oci:(?P<host>[A-Za-z0-9.-]+(:\d+)?)/(?P<name>[a-z0-9]+([._/-]+[a-z0-9]+)*)"
    r"(:(?P<tag>[\w][\w.-]{0,127}))?(@(?P<digest>sha256:[0-9a-f]{64}))?(#(?P<member>.+))?",
    re.ASCII,
)
_ACCEPT: Final = (
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json"
)
PATH_KEYS: Final = ("org.cncf.model.filepath", "org.opencontainers.image.title")
"""Annotations that say a layer's path: ModelPack's, and that of other artifacts."""
_WEIGHTS: Final = "vnd.cncf.model.weight"


def locate(address: str, transfer: Transfer) -> Located:
    """The layer that is or holds the file.

    Raises:
        UsageFault: the address is not of the form.
        DownloadFailed: the registry has no such artifact or file, or cannot be asked.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None or not (match["tag"] or match["digest"]):
        raise UsageFault(
            f"{address!r} names no artifact", "write oci:HOST/NAME:TAG or oci:HOST/NAME@sha256:…"
        )
    host, name, tag, digest, member = match.group("host", "name", "tag", "digest", "member")
    if transfer.mirror is not None:
        return Located(address, PurePosixPath(member or name).name)
    # as container tools do: a registry on this machine needs no certificate
    scheme = "http" if host.partition(":")[0] in ("localhost", "127.0.0.1") else "https"
    base = f"{scheme}://{host}/v2/{name}"
    reference = digest or tag
    found, headers = _ask(f"{base}/manifests/{reference}", host, name, transfer)
    if found.status != HTTPStatus.OK:
        raise DownloadFailed(
            f"{host} does not give {name}:{reference}: {status_text(found.status)}",
            "docker login or oras login, where the registry wants to know who asks",
        )
    if digest is not None and digest != f"sha256:{hashlib.sha256(found.data).hexdigest()}":
        raise DownloadFailed(f"{host} gives another manifest than {digest}", "nothing was kept")
    layer, path = _layer(_layers(found.data, address), member, address)
    blob = str(layer["digest"])
    size = layer.get("size")
    packed = "tar" in str(layer.get("mediaType", "")).rpartition(".")[2]
    return Located(
        f"{base}/blobs/{blob}",
        blob.partition(":")[2] + ".tar" if packed else PurePosixPath(path).name,
        size if isinstance(size, int) else None,
        ("sha256", blob.partition(":")[2]),
        path if packed else None,
        headers,
    )


def _layers(data: bytes, address: str) -> Sequence[Mapping[str, Any]]:
    try:
        layers = json.loads(data)["layers"]
        if all(re.fullmatch(r"sha256:[0-9a-f]{64}", layer["digest"]) for layer in layers):
            return list(layers)
        raise ValueError("a layer without a sha256")
    except (ValueError, KeyError, TypeError) as e:
        raise DownloadFailed(f"{address} is no artifact: {type(e).__name__}: {e}") from e


def _layer(
    layers: Sequence[Mapping[str, Any]], member: str | None, address: str
) -> tuple[Mapping[str, Any], str]:
    """The layer with the file of this path, or the only one with weights; and the path."""
    paths = [_path(layer) for layer in layers]
    if member is not None:
        for layer, path in zip(layers, paths, strict=True):
            if path == member:
                return layer, member
        packed = [layer for layer in layers if "tar" in str(layer.get("mediaType", ""))]
        if len(packed) == 1:
            return packed[0], member
    else:
        weights = [
            (layer, path)
            for layer, path in zip(layers, paths, strict=True)
            if path and (_WEIGHTS in str(layer.get("mediaType", "")) or len(layers) == 1)
        ]
        if len(weights) == 1:
            return weights[0]
    known = ", ".join(path for path in paths if path) or "layers without a path"
    what = f"has no file {member}" if member else "has several files"
    raise DownloadFailed(f"{address} {what}", f"write #PATH; it has {known}")


def _path(layer: Mapping[str, Any]) -> str:
    annotations = layer.get("annotations") or {}
    return next((str(annotations[key]) for key in PATH_KEYS if key in annotations), "")


def _ask(address: str, host: str, name: str, transfer: Transfer) -> tuple[Document, dict[str, str]]:
    """The manifest, and the header that the registry wanted for it."""
    accept = {"Accept": _ACCEPT}
    found = document(address, transfer, accept)
    if found.status != HTTPStatus.UNAUTHORIZED:
        return found, {}
    challenge = found.headers.get("WWW-Authenticate", "")
    login = _login(host, os.environ)
    if challenge.lower().startswith("basic") and login:
        headers = {"Authorization": f"Basic {login}"}
    elif challenge.lower().startswith("bearer"):
        headers = {"Authorization": f"Bearer {_token(challenge, name, login, transfer)}"}
    else:
        return found, {}
    return document(address, transfer, {**accept, **headers}), headers


def _token(challenge: str, name: str, login: str | None, transfer: Transfer) -> str:
    """The token of the service that the registry names."""
    said = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = said.get("realm", "")
    if urlsplit(realm).scheme != "https" and urlsplit(realm).hostname not in (
        "localhost",
        "127.0.0.1",
    ):
        raise DownloadFailed(f"the registry wants a token from {realm!r}, which is not https")
    query = {"scope": said.get("scope") or f"repository:{name}:pull"}
    if "service" in said:
        query["service"] = said["service"]
    headers = {"Authorization": f"Basic {login}"} if login else {}
    found = document(f"{realm}?{urlencode(query)}", transfer, headers)
    try:
        answer = json.loads(found.data)
        return str(answer.get("token") or answer["access_token"])
    except (ValueError, KeyError, AttributeError) as e:
        raise DownloadFailed(f"{realm} gives no token: {status_text(found.status)}") from e


def configuration(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """The file that logins are kept in."""
    return [Path(environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"]


def _login(host: str, environ: Mapping[str, str]) -> str | None:
    """Name and password in base64, as the login's file has them."""
    (path,) = configuration(environ)
    try:
        auths = json.loads(path.read_text(encoding="utf-8"))["auths"]
        return auths[host].get("auth") or None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # nobody is logged in there
