"""Requests that a worker sends, as far as its manifest allows them, and never to places within.

A name is resolved once; every address it has must be one of the public network, unless the
manifest names the host and the user lets workers reach it; the connection goes to an address
that was judged. So a name that changes its address between question and connection leads nowhere.
Redirects are not followed: they are the worker's to read.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import urlsplit

from wasmlrun.manifest.manifest import HttpGrant
from wasmlrun.support.records import Record

KINDS = (
    "invalid-request",
    "invalid-request-body",
    "invalid-response-body",
    "not-allowed",
    "internal-error",
    "timeout",
    "redirect-loop",
)
TIMEOUT = 10.0
"""Seconds that an exchange may take."""
MAX_ANSWER = 16 << 20
"""Bytes of an answer's body that are still read."""
_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_OURS = frozenset(("host", "content-length", "transfer-encoding", "connection", "upgrade", "te"))


class HttpFault(Exception):
    """Why there is no answer; `kind` is one of KINDS."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def number(self) -> int:
        """The kind's number in Wasm Workers Server's interface."""
        return KINDS.index(self.kind)


class Request(Record):
    """What a worker wants to send."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    body: bytes | None


class Answer(Record):
    """What came back of a request."""

    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


Sender = Callable[[Request], Answer]
"""Sends a request. Raises HttpFault."""
Resolver = Callable[[str, int], Sequence[str]]
"""All addresses of a host."""


def sender(grant: HttpGrant, resolve: Resolver | None = None) -> Sender:
    """What sends a worker's requests, as its manifest allows."""
    return lambda request: _send(grant, request, resolve or addresses_of)


def addresses_of(host: str, port: int) -> list[str]:
    """All addresses of a host. Raises HttpFault when there is none."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as e:
        raise HttpFault("internal-error", f"the host {host} is not known: {e}") from e
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether an address belongs to the public network: not this machine, nor one beside it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(ip.packed[-4:])
        if inner is not None:
            ip = inner
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _send(grant: HttpGrant, request: Request, resolve: Resolver) -> Answer:
    secure, host, port, target = _place(grant, request)
    addresses = resolve(host, port)
    if not addresses:
        raise HttpFault("internal-error", f"the host {host} has no address")
    within = [address for address in addresses if not is_public(address)]
    if within and host not in grant.allowed_private:
        raise HttpFault(
            "not-allowed",
            f"the host '{host}' is {within[0]}, which is no address of the public network; "
            "a worker reaches such places only with --allow-private HOST",
        )
    headers = _headers(request)
    return _exchange(request, secure, host, port, target, addresses[0], headers)


def _place(grant: HttpGrant, request: Request) -> tuple[bool, str, int, str]:
    """Whether it is https, host, port and target of an address, if the manifest allows it."""
    try:
        parts = urlsplit(request.url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError as e:
        raise HttpFault("invalid-request", f"the address cannot be read: {e}") from e
    if any(ord(c) <= 32 or ord(c) == 127 for c in request.url):
        raise HttpFault("invalid-request", "the address has a character that none can have")
    if parts.scheme not in ("http", "https") or not host:
        raise HttpFault("invalid-request", f"{request.url} is no http or https address")
    if parts.username is not None:
        raise HttpFault("invalid-request", "an address with a user name is not sent")
    shown = f"{host}:{port}" if port is not None else host
    if host not in grant.allowed_hosts and shown not in grant.allowed_hosts:
        raise HttpFault(
            "not-allowed",
            f"The host '{host}' is not allowed for this worker. "
            "Please, update the worker configuration.",
        )
    if parts.scheme == "http" and not grant.allow_http:
        raise HttpFault(
            "not-allowed",
            "The URI must use HTTPS. You can allow http requests in the worker configuration",
        )
    if request.method not in grant.allowed_methods:
        raise HttpFault(
            "not-allowed",
            f"The method '{request.method}' is not allowed for this worker. "
            "Please, update the configuration.",
        )
    secure = parts.scheme == "https"
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return secure, host, port or (443 if secure else 80), target


def _headers(request: Request) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in request.headers:
        if not name or not set(name) <= _TOKEN or any(c in value for c in "\r\n\0"):
            raise HttpFault("invalid-request", f"the header {name!r} cannot be sent")
        if name.lower() not in _OURS:
            found[name] = value
    return found


def _exchange(
    request: Request,
    secure: bool,
    host: str,
    port: int,
    target: str,
    address: str,
    headers: dict[str, str],
) -> Answer:
    # only here: workers that send nothing do not wait for it
    import urllib3
    from urllib3.exceptions import HTTPError, NewConnectionError, TimeoutError

    ends = time.monotonic() + TIMEOUT
    timeout = urllib3.Timeout(total=TIMEOUT)
    default = 443 if secure else 80
    authority = f"[{host}]" if ":" in host else host
    headers = {"Host": authority if port == default else f"{authority}:{port}", **headers}
    pool: Any
    if secure:
        # the address was judged; the certificate is the name's
        pool = urllib3.HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            ssl_context=_certificates(),
            server_hostname=host,
            assert_hostname=host,
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
    try:
        with pool.urlopen(
            request.method,
            target,
            body=request.body,
            headers=headers,
            redirect=False,
            retries=False,
            preload_content=False,
            decode_content=False,
        ) as response:
            parts, size = [], 0
            for part in response.stream(1 << 16):
                parts.append(part)
                size += len(part)
                if size > MAX_ANSWER:
                    raise HttpFault("invalid-response-body", f"more than {MAX_ANSWER} bytes")
                if time.monotonic() > ends:
                    raise HttpFault("timeout", f"the exchange took more than {TIMEOUT:g} s")
            return Answer(response.status, list(response.headers.items()), b"".join(parts))
    except NewConnectionError as e:
        raise HttpFault("internal-error", f"no answer from {host}: {e}") from e
    except TimeoutError as e:
        raise HttpFault("timeout", f"no answer from {host} within {TIMEOUT:g} s") from e
    except (HTTPError, OSError, ValueError) as e:
        raise HttpFault("internal-error", f"no answer from {host}: {e}") from e
    finally:
        pool.close()


def _certificates() -> ssl.SSLContext:
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
