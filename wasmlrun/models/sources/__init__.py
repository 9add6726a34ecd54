"""Where files of models are: one module a kind of source, chosen by the address.

A source says where the bytes are and what they must be; it fetches none of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import urlsplit

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.models.connection import Transfer
    from wasmlrun.models.sources.located import Located

    Locate = Callable[[str, Transfer], Located]
    """Find what an address means. Raises DownloadFailed, UsageFault."""


class Source(Record):
    """A kind of source."""

    begins: str
    """What its addresses begin with."""
    module: str
    """In this package; imported when it is needed, as most commands need none."""
    form: str
    """The rest of an address."""
    packed: bool = False
    """The file is one in a package, and behind the `#`."""


SOURCES: Final[Mapping[str, Source]] = {
    "https": Source("https://", "web", "HOST/PATH"),
    "http": Source("http://", "web", "HOST/PATH"),
    "file": Source("file:///", "web", "PATH"),
    # a wheel, found as pip finds wheels; /WHEEL may stand before the #
    "pypi": Source("pypi:", "pypi", "PROJECT==VERSION#PATH", packed=True),
    "npm": Source("npm:", "npm", "NAME@VERSION#PATH", packed=True),
    # a repository of models
    "hf": Source("hf:", "hub", "OWNER/REPOSITORY@COMMIT/PATH"),
    # a layer of a ModelPack or other artifact; @sha256:… may stand before the #
    "oci": Source("oci:", "oci", "HOST/NAME:TAG#PATH", packed=True),
}


def in_packages() -> str:
    """The forms of addresses that are no plain URLs, for people."""
    found = (s.begins + s.form for s in SOURCES.values() if not s.begins.endswith("/"))
    return ", ".join(found)


def scheme_of(address: str) -> str | None:
    """The kind of source that an address names; None where it is no such address."""
    scheme, colon, rest = address.partition(":")
    source = SOURCES.get(scheme.lower())
    if not colon or source is None or rest.startswith("//") != source.begins.endswith("/"):
        return None
    return scheme.lower()


def is_packed(address: str) -> bool:
    """Whether an address names a file in a package, behind its `#`."""
    scheme = scheme_of(address)
    return scheme is not None and SOURCES[scheme].packed


def check_address(address: str) -> str:
    """The address, if files can be fetched from it.

    Raises:
        UsageFault: it is none, or of a kind that is not known here.
    """
    try:
        urlsplit(address)
        known = scheme_of(address) is not None
    except ValueError:
        known = False
    if not known:
        *first, last = (source.begins for source in SOURCES.values())
        raise UsageFault(
            f"{address!r} is not an address to fetch files from",
            f"addresses start with {', '.join(first)} or {last}",
        )
    return address


def local_path(place: str) -> Path | None:
    """The file or folder that a path or a file address names; None for what is elsewhere."""
    scheme = scheme_of(place)
    if scheme == "file":
        from urllib.request import url2pathname  # few command lines need it

        return Path(url2pathname(urlsplit(place).path))
    return None if scheme is not None or "://" in place else Path(place)


def configuration(address: str) -> list[Path]:
    """The user's own files that say whom to ask for this address, and as whom: a client's settings,
    logins, certificates, and folders that it looks into first.
    """
    scheme = scheme_of(address)
    if scheme is None:
        return []
    module = import_module(f"{__name__}.{SOURCES[scheme].module}")
    return list(getattr(module, "configuration", list)())


def locate(address: str, transfer: Transfer) -> Located:
    """Find out where the bytes are.

    Raises:
        UsageFault: it is no address.
        DownloadFailed: the index or registry has no such file, or cannot be asked.
    """
    scheme = scheme_of(check_address(address)) or ""
    module = import_module(f"{__name__}.{SOURCES[scheme].module}")
    return cast("Locate", module.locate)(address, transfer)
