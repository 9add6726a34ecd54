"""Who may ask: which names the server goes by, which pages may post, how much one client may do.

A server on the loopback interface has no password: whoever can reach it is its user. A browser can
reach it for any page that it shows. Such a page comes under another name (it has its name point
here), or from another origin; both are told apart from the user's own requests by their headers.
"""

from __future__ import annotations

import ipaddress
import math
import re
import time
from collections import OrderedDict
from collections.abc import Collection
from urllib.parse import urlsplit

from wasmlrun.serve.answers import Refused
from wasmlrun.serve.guard import Scope

_KNOWN = 100
"""Host headers that are remembered."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(:[0-9]*)?", re.ASCII)
_KEPT = 10_000
"""Clients whose rate is remembered."""


class TooMany(Refused):
    """A client asks for more than it may; `seconds` from now it may again."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(429, message, retry_after=str(max(1, math.ceil(seconds))))


class Names:
    """The names that requests may have the server go by."""

    def __init__(self, listening: str, allowed: Collection[str]) -> None:
        """`listening` is the address that the server listens at; with one that others can reach
        any name is right, unless some are `allowed`: then it is those and numeric addresses.
        """
        self._allowed = frozenset(name.lower() for name in allowed)
        self._any = not self._allowed and not _is_loopback(listening)
        self._known: set[bytes] = set()
        """Headers that were right: most requests have the same."""

    def check(self, scope: Scope) -> None:
        """Raises Refused for a request under another name, or without one."""
        given = [value for name, value in scope["headers"] if name == b"host"]
        if len(given) > 1 or (not given and scope["http_version"] != "1.0"):
            raise Refused(400, "a request has one Host header")
        if self._any or not given or given[0] in self._known:
            return
        host = _host(given[0].decode("latin-1"))
        if host is None:
            raise Refused(400, "the Host header is no name and port")
        if not self._is_ours(host):
            raise Refused(
                421, f"this server does not go by the name {host}; serve with --allow-host {host}"
            )
        if len(self._known) < _KNOWN:
            self._known.add(given[0])

    def _is_ours(self, host: str) -> bool:
        # nobody else can have a number point here
        if host in self._allowed or _is_number(host):
            return True
        return host == "localhost" or host.endswith(".localhost")


def check_origin(scope: Scope) -> None:
    """A page of another origin may not post. Raises Refused."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin")
    if origin is None:  # no browser, or one that reads
        return
    # a page of this server has its very name and port
    if (
        urlsplit(origin.decode("latin-1")).netloc.lower()
        != headers.get(b"host", b"").decode("latin-1").lower()
        or origin == b"null"
    ):
        raise Refused(403, "a page of another site may not post here")


class Rates:
    """What each client has done lately."""

    def __init__(self, at_once: int | None, per_second: float | None) -> None:
        """How many requests one address may have at the same time, and how many a second; a
        second's worth may come together. None is any number.
        """
        self._at_once = at_once
        self._per_second = per_second
        self._running: dict[str, int] = {}
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    @property
    def limited(self) -> bool:
        """Whether there is anything to count."""
        return self._at_once is not None or self._per_second is not None

    def enter(self, scope: Scope) -> str:
        """A request begins; its client, for `leave`. Raises TooMany."""
        client = client_of(scope)
        if self._at_once is not None and self._running.get(client, 0) >= self._at_once:
            raise TooMany(f"one client may have {self._at_once} requests at the same time", 1)
        if self._per_second is not None:
            self._take(client, self._per_second)
        self._running[client] = self._running.get(client, 0) + 1
        return client

    def leave(self, client: str) -> None:
        """A request of the client is over."""
        left = self._running[client] - 1
        if left:
            self._running[client] = left
        else:
            del self._running[client]

    def _take(self, client: str, rate: float) -> None:
        now, most = time.monotonic(), max(1.0, rate)
        left, then = self._buckets.pop(client, (most, now))
        left = min(most, left + (now - then) * rate)
        self._buckets[client] = (left - 1 if left >= 1 else left), now
        while len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        if left < 1:
            raise TooMany(f"one client may ask {rate:g} times a second", (1 - left) / rate)


def client_of(scope: Scope) -> str:
    """A request's client: its address, of version 6 the network that one customer has."""
    text = (scope.get("client") or ("-",))[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return str(text)
    if address.version == 4:
        return str(address)
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, 64), strict=False))


def _host(text: str) -> str | None:
    """The name in a Host header, in lower case; of an address of version 6 without brackets."""
    if not _HOST.fullmatch(text):
        return None
    try:
        parts = urlsplit(f"//{text}")
        _ = parts.port
    except ValueError:
        return None
    if not parts.hostname:
        return None
    return parts.hostname.rstrip(".")


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_number(host) and ipaddress.ip_address(host).is_loopback)
