"""HTTP as downloads need it: trusted certificates, proxies, and failures in words.

The HTTP library is imported when something is fetched, not before.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from wasmlrun import __version__
from wasmlrun.support.errors import DownloadFailed

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager
    from urllib3.exceptions import HTTPError

AGENT: Final = f"wasmlrun/{__version__}"
MAX_DOCUMENT: Final = 64 * 1024 * 1024
"""Bytes of an index's or registry's answer."""
REDIRECTS: Final = 5


@dataclass(frozen=True, slots=True)
class Transfer:
    """How files are fetched. Times are in seconds."""

    mirror: str | None = None
    """Replaces every address: the mirror holds the files under their own names."""
    retries: int = 3
    """Attempts in a row that may bring nothing before it is given up."""
    backoff: float = 0.5
    """Wait before the first retry; doubled for each one after it."""
    connect_timeout: float = 10.0
    read_timeout: float = 30.0
    most: int = 16 * 1024**3
    """Bytes of a file whose size nobody knows."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request failed."""

    text: str
    lasting: bool = False
    """Another attempt would fail in the same way."""
    untrusted: bool = False
    """The server's certificate was not accepted."""


@dataclass(frozen=True, slots=True)
class Document:
    """A whole answer: a list of files, a description of a package."""

    status: int
    headers: Mapping[str, str]
    data: bytes
    address: str
    """Where it came from in the end, after redirections."""


def pool(address: str, authority: str | None = None) -> PoolManager:
    """Connections with the system's trusted certificates, through the system's proxy.

    `authority` is a file of certificates to trust as well.

    Raises:
        OSError: that file cannot be read.
    """
    import ssl
    from urllib.request import getproxies, proxy_bypass

    import truststore
    import urllib3

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if authority is not None:
        context.load_verify_locations(authority)
    url = urlsplit(address)
    proxy = getproxies().get(url.scheme)
    if not proxy or not url.hostname or proxy_bypass(url.hostname):
        return urllib3.PoolManager(ssl_context=context)
    login = urllib3.util.parse_url(proxy).auth
    return urllib3.ProxyManager(
        proxy,
        ssl_context=context,
        proxy_headers=urllib3.make_headers(proxy_basic_auth=login) if login else None,
    )


def request(
    pool: PoolManager, address: str, transfer: Transfer, headers: Mapping[str, str]
) -> BaseHTTPResponse:
    """One GET whose body is not read yet; attempts are counted by the caller.

    Raises:
        urllib3.exceptions.HTTPError: there is no answer.
    """
    import urllib3

    return pool.request(
        "GET",
        address,
        headers={"User-Agent": AGENT, **headers},
        preload_content=False,
        timeout=urllib3.Timeout(connect=transfer.connect_timeout, read=transfer.read_timeout),
        retries=urllib3.Retry(
            redirect=REDIRECTS,
            connect=0,
            read=0,
            status=0,
            other=0,
            respect_retry_after_header=False,
        ),
    )


def document(
    address: str,
    transfer: Transfer,
    headers: Mapping[str, str],
    authority: str | None = None,
) -> Document:
    """A document, whatever its status, over as many attempts as it takes.

    Raises:
        DownloadFailed: there is no answer, or one that is too long.
    """
    from urllib3.exceptions import HTTPError

    failures = 0
    while True:
        try:
            connections = pool(address, authority)
            response = request(connections, address, transfer, headers)
            try:
                data = response.read(MAX_DOCUMENT + 1)
            finally:
                response.close()
            if len(data) > MAX_DOCUMENT:
                raise DownloadFailed(f"{address} sends more than {MAX_DOCUMENT} bytes")
            found = response.geturl() or address
            if response.status < HTTPStatus.INTERNAL_SERVER_ERROR:
                place = found if urlsplit(found).scheme else address
                return Document(response.status, response.headers, data, place)
            reason = Reason(status_text(response.status))
        except OSError as e:
            raise DownloadFailed(f"{authority} cannot be used: {e.strerror or e}") from e
        except HTTPError as e:
            reason = reason_of(e, address)
        failures += 1
        if reason.lasting or failures > transfer.retries:
            raise DownloadFailed(
                f"cannot ask {address}: {reason.text}", "check the network, its proxy, the address"
            )
        time.sleep(transfer.backoff * 2 ** (failures - 1))


def with_login(address: str) -> tuple[str, dict[str, str]]:
    """An address without the name and password in it, and the header that says them."""
    url = urlsplit(address)
    if url.username is None or url.hostname is None:
        return address, {}
    plain = url._replace(netloc=url.netloc.rpartition("@")[2]).geturl()
    login = f"{unquote(url.username)}:{unquote(url.password or '')}"
    return plain, {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()}


def status_text(status: int) -> str:
    """`the server answers 404 Not Found`."""
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    return f"the server answers {status} {phrase}".rstrip()


def reason_of(error: HTTPError, address: str) -> Reason:
    """What the library raised, in words, and whether it will stay so."""
    from ssl import SSLCertVerificationError

    from urllib3 import exceptions as http

    cause: BaseException | None = error
    if isinstance(error, http.MaxRetryError):
        cause = error.reason
    if isinstance(cause, http.LocationValueError):
        return Reason(f"it is no address ({cause})", lasting=True)
    if isinstance(cause, http.ProxyError):
        return Reason(f"the proxy gives no connection: {_last(cause)}")
    if isinstance(cause, http.SSLError):
        if any(isinstance(a, SSLCertVerificationError) for a in cause.args):
            return Reason(
                f"its certificate is not trusted ({_last(cause)})", lasting=True, untrusted=True
            )
        return Reason(f"no encrypted connection: {_last(cause)}")
    if isinstance(cause, http.ResponseError):
        return Reason("it leads from one address to the next without an end", lasting=True)
    if isinstance(cause, http.NameResolutionError):
        return Reason(f"{urlsplit(address).hostname} is not known here")
    if isinstance(cause, http.NewConnectionError):
        return Reason(f"no connection ({_last(cause)})")
    if isinstance(cause, http.ConnectTimeoutError | http.ReadTimeoutError):
        return Reason("the server does not answer")
    if isinstance(cause, http.ProtocolError):
        return Reason("the connection was cut")
    return Reason(_last(cause), lasting=True)


def _last(error: BaseException | None) -> str:
    """The innermost reason in words: the library puts its objects in front of it."""
    while error is not None and error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).rpartition(": ")[2]
