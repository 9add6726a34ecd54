"""`npm:NAME@VERSION#PATH`: a file in an npm package, from the registry that npm would ask.

Registries and tokens come from npm's configuration files and variables. The tarball is
downloaded and one file of it is read; no script of the package runs.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from wasmlrun.models.connection import Transfer, document, status_text
from wasmlrun.models.sources.located import Located
from wasmlrun.support.errors import DownloadFailed, UsageFault

DEFAULT_REGISTRY: Final = "https://registry.npmjs.org"
_ADDRESS = re.compile(
    r"npm:(?P<name>(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*)"
    r"@(?P<version>[0-9][A-Za-z0-9.+-]*)#(?P<member>.+)"
)


def locate(address: str, transfer: Transfer) -> Located:
    """The tarball that holds the file.

    Raises:
        UsageFault: the address is not of the form.
        DownloadFailed: the registry has no such package, or cannot be asked.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageFault(
            f"{address!r} names no file in an npm package",
            "write npm:NAME@VERSION#PATH/IN/PACKAGE, such as npm:@mediapipe/pose@1.0.0#pose.tflite",
        )
    name, version, member = match.group("name", "version", "member")
    tarball = f"{name.rpartition('/')[2]}-{version}.tgz"
    # what npm packs stands in one folder
    member = f"package/{member}"
    if transfer.mirror is not None:
        return Located(address, tarball, member=member)
    config = _config()
    registry = _registry(config, name)
    headers = _token(config, registry)
    page = f"{registry}/{quote(name, safe='@')}"
    found = document(page, transfer, {"Accept": "application/vnd.npm.install-v1+json", **headers})
    if found.status != HTTPStatus.OK:
        raise DownloadFailed(
            f"{registry} does not give npm package {name}: {status_text(found.status)}",
            "npm config get registry says which registry is asked; NPM_CONFIG_REGISTRY another",
        )
    url, digest = _tarball(found.data, page, name, version)
    name = PurePosixPath(unquote(urlsplit(url).path)).name or tarball
    same = urlsplit(url).netloc == urlsplit(registry).netloc
    return Located(url, name, None, digest, member, headers if same else {})


def _tarball(data: bytes, page: str, name: str, version: str) -> tuple[str, tuple[str, str] | None]:
    """Address and digest of a version's tarball."""
    try:
        versions: Mapping[str, Any] = json.loads(data)["versions"]
        if version not in versions:
            near = ", ".join(list(versions)[-5:])
            raise DownloadFailed(f"npm package {name} has no version {version}", f"it has {near}")
        dist = versions[version]["dist"]
        return str(dist["tarball"]), _integrity(str(dist.get("integrity", "")))
    except (ValueError, KeyError, TypeError) as e:
        raise DownloadFailed(f"{page} is no npm package: {type(e).__name__}: {e}") from e


def _integrity(text: str) -> tuple[str, str] | None:
    """Subresource integrity, `sha512-BASE64`, as an algorithm and hexadecimal digits."""
    for part in text.split():
        algorithm, _, value = part.partition("-")
        if algorithm in ("sha512", "sha384", "sha256"):
            try:
                return algorithm, base64.b64decode(value.partition("?")[0], validate=True).hex()
            except binascii.Error as e:
                raise DownloadFailed(f"the registry's integrity {text!r} is damaged") from e
    return None


def configuration(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Npm's files of settings, those that win last."""
    own = environ.get("NPM_CONFIG_USERCONFIG") or environ.get("npm_config_userconfig")
    shared = environ.get("NPM_CONFIG_GLOBALCONFIG") or environ.get("npm_config_globalconfig")
    home = Path(environ.get("HOME") or Path.home())
    return [Path(shared or "/etc/npmrc"), Path(own) if own else home / ".npmrc", Path(".npmrc")]


def _config(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Npm's settings: the machine's, the user's, then what variables say."""
    said: dict[str, str] = {}
    for path in configuration(environ):
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue  # npm goes on without a file that it cannot read
        for line in lines:
            key, equals, value = line.strip().partition("=")
            if equals and not key.startswith((";", "#")):
                said[key.strip()] = _expanded(value.strip().strip('"'), environ)
    registry = environ.get("NPM_CONFIG_REGISTRY") or environ.get("npm_config_registry")
    if registry:
        said["registry"] = registry
    return said


def _expanded(value: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"\$\{(\w+)\}", lambda match: environ.get(match[1], match[0]), value)


def _registry(config: Mapping[str, str], name: str) -> str:
    scope = f"{name.partition('/')[0]}:registry" if name.startswith("@") else ""
    return (config.get(scope) or config.get("registry") or DEFAULT_REGISTRY).rstrip("/")


def _token(config: Mapping[str, str], registry: str) -> dict[str, str]:
    """The header for a registry that wants to know who asks."""
    place = registry.partition(":")[2] + "/"
    while place.count("/") > 2:
        token = config.get(f"{place}:_authToken")
        if token:
            return {"Authorization": f"Bearer {token}"}
        place = place.rstrip("/").rpartition("/")[0] + "/"
    return {}
