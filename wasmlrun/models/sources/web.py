"""Addresses that say themselves where the bytes are: https, http and file."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from wasmlrun.models.connection import Transfer, with_login
from wasmlrun.models.sources.located import Located


def locate(address: str, transfer: Transfer) -> Located:
    """The address itself: nothing needs to be asked."""
    plain, headers = with_login(address)
    return Located(plain, PurePosixPath(unquote(urlsplit(address).path)).name, headers=headers)
