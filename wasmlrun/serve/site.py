"""A folder of Wasm Workers Server, as it is: routes, assets, key/value stores, CORS."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from starlette.responses import FileResponse

from wasmlrun.pipeline.protocols import wws
from wasmlrun.serve import answers, assets
from wasmlrun.serve.answers import Reply
from wasmlrun.serve.guard import ClientGone, Receive, Scope, Send, leaving, read_body
from wasmlrun.serve.kv import Stores, TooMuch
from wasmlrun.serve.pool import Busy, Crashed, Gone, Pool
from wasmlrun.serve.site_routes import PUBLIC, SUFFIXES, Route, Routes, find_routes
from wasmlrun.serve.work import manifest_of
from wasmlrun.supervisor.channel import Message
from wasmlrun.support.errors import WasmlrunError, WorkerFailed
from wasmlrun.support.messages import Messages
from wasmlrun.support.records import Record

FAILED = b"<p>There was an error running this function</p>"
"""The body of a failing worker's answer, as in Wasm Workers Server."""
_HTML = ("content-type", "text/html")
_CORS = "access-control-allow-origin"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_LARGE = 64 << 10
# the server says these itself
_OURS = frozenset(("content-length", "transfer-encoding", "connection", "keep-alive", "upgrade"))


class SiteSettings(Record):
    """How a folder is served."""

    folder: Path
    prefix: str = ""
    ignore: Sequence[str] = ()
    """Patterns of files that are no workers."""
    cors: Sequence[str] = ()
    """Origins; `*` is any."""
    reload: bool = False
    allow_outside: bool = False
    max_body: int = 32 << 20


class Loaded(Record):
    """What the folder is at the moment."""

    routes: Routes
    namespaces: Mapping[Path, str | None]
    """The key/value store of each worker that has one."""
    stamps: Mapping[Path, int]
    """A number that changes with a worker or its manifest."""
    faults: Mapping[Path, WasmlrunError]
    """What is wrong with a worker's manifest; the other workers answer all the same."""


class Site:
    """The folder, ready to answer."""

    def __init__(
        self, settings: SiteSettings, pool: Pool, stores: Stores, messages: Messages
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._stores = stores
        self._messages = messages
        self._looked = time.monotonic()
        self.loaded = load(settings)
        self._tell_of_faults()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> str:
        """Answer a request; the route's pattern, for whoever counts."""
        self._look_again()
        path = normalized(scope)
        if "\0" in scope["path"]:
            await answers.send(Reply(400), send)
            return "refused"
        found = self.loaded.routes.find(path)
        if found is None or found[0].dynamic:
            file = self._asset(path)
            if file is not None:
                await assets.send_file(file, scope, receive, send)
                return "asset"
        if found is None:
            await self._not_found(scope, receive, send)
            return "not found"
        route, parameters = found
        try:
            answer = await self._run(route, parameters, scope, receive)
        except (Gone, ClientGone):
            raise
        except Exception as error:  # noqa: BLE001 - what nobody foresaw is raised again
            status, told = answers.failed(error)
            self._messages.warn(f"{route.path}: {told['message']}")
            body = FAILED if status in (500, 502, 504) else told["message"].encode()
            answer = answers.with_headers(Reply(status, (_HTML,), body), error)
        await answers.send(answer, send, self._cors(scope, answer))
        return route.path

    async def prepare(self) -> None:
        """Compile the workers, one after the other, so that the first visitor waits less."""

        async def stays() -> None:
            await asyncio.Event().wait()

        for route in self.loaded.routes.routes:
            if route.file.suffix == ".wasm" and route.file not in self.loaded.faults:
                head: dict[str, Any] = {"op": "prepare", "worker": str(route.file)}
                head["stamp"] = self.loaded.stamps[route.file]
                try:
                    await self._pool.call(Message(head), stays)
                except (WasmlrunError, Busy, Crashed, ValueError) as error:
                    self._messages.warn(f"{route.path}: {error}")

    async def _run(
        self, route: Route, parameters: Mapping[str, str], scope: Scope, receive: Receive
    ) -> Reply:
        if route.file in self.loaded.faults:
            raise self.loaded.faults[route.file]
        body = await read_body(scope, receive, self._settings.max_body)
        namespace = self.loaded.namespaces.get(route.file)
        fields: dict[str, Any] = {
            "method": scope["method"],
            "url": url_of(scope),
            "headers": dict(_headers(scope)),
            "kv": self._stores.read(namespace) if namespace else None,
            "params": parameters,
        }
        head: dict[str, Any] = {
            "op": "request",
            "worker": str(route.file),
            "stamp": self.loaded.stamps[route.file],
        }
        if len(body) > _LARGE:  # as JSON it is made by the child: that takes its time
            head["fields"] = fields
        else:
            body = wws.request(body=body, **fields)
        message = await self._pool.call(Message(head, (body,)), leaving(receive))
        store = message.head.get("kv")
        if namespace and isinstance(store, dict):
            try:
                self._stores.replace(namespace, store)
            except TooMuch as e:
                raise WorkerFailed(f"key/value store {namespace}: {e}") from e
        return response_of(message)

    @property
    def answers_root(self) -> bool:
        """Whether `/` is the site's."""
        return self.loaded.routes.find("/") is not None or self._asset("/") is not None

    def _asset(self, path: str) -> Path | None:
        prefix = self.loaded.routes.prefix
        if not f"{path}/".startswith(f"{prefix}/"):
            return None
        return assets.find_asset(self._settings.folder, unquote(path[len(prefix) :]))

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = assets.find_asset(self._settings.folder, assets.NOT_FOUND)
        if page is None:
            await answers.send(Reply(404, (_HTML,)), send)
        else:
            await FileResponse(page, 404)(scope, receive, send)

    def _cors(self, scope: Scope, answer: Reply) -> dict[str, str]:
        origins = self._settings.cors
        if not origins or any(name == _CORS for name, _ in answer.headers):
            return {}
        asked = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"origin"), "")
        if "*" in origins:
            return {_CORS: "*"}
        return {_CORS: asked if asked in origins else origins[0], "vary": "origin"}

    def _look_again(self) -> None:
        """With --reload, once a second at most: what changed on the disk."""
        if not self._settings.reload or time.monotonic() - self._looked < 1:
            return
        self._looked = time.monotonic()
        before, self.loaded = self.loaded, load(self._settings)
        if before.stamps != self.loaded.stamps:
            self._messages.info("the folder has changed")
            self._tell_of_faults()

    def _tell_of_faults(self) -> None:
        folder = self._settings.folder
        if not self.loaded.routes.routes and not (folder / PUBLIC).is_dir():
            ends = ", ".join(SUFFIXES)
            self._messages.warn(f"{folder} has no worker, which ends with {ends}, and no {PUBLIC}/")
        for error in self.loaded.faults.values():
            self._messages.error(error)


def load(settings: SiteSettings) -> Loaded:
    """Look through the folder."""
    routes = find_routes(settings.folder, settings.prefix, settings.ignore)
    namespaces: dict[Path, str | None] = {}
    faults: dict[Path, WasmlrunError] = {}
    stamps = {}
    for route in routes.routes:
        try:
            manifest = manifest_of(
                route.file, settings.folder, allow_outside=settings.allow_outside
            )
            namespaces[route.file] = manifest.kv_namespace if manifest is not None else None
        except WasmlrunError as error:
            faults[route.file] = error
        stamps[route.file] = _changed(route.file) ^ _changed(route.file.with_suffix(".toml")) >> 1
    return Loaded(routes, namespaces, stamps, faults)


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


def normalized(scope: Scope) -> str:
    """A request's path as it was sent, several slashes as one, none at the end."""
    path = scope.get("raw_path", scope["path"].encode()).decode("ascii", "replace")
    return re.sub(r"/+", "/", path).rstrip("/") or "/"


def url_of(scope: Scope) -> str:
    """A request's whole URL."""
    host = next((v.decode("latin-1") for k, v in scope["headers"] if k == b"host"), wws.HOST)
    path = scope.get("raw_path", b"/").decode("ascii", "replace")
    query = scope["query_string"].decode("latin-1")
    return f"{scope['scheme']}://{host}{path}{'?' + query if query else ''}"


def _headers(scope: Scope) -> Iterator[tuple[str, str]]:
    found: dict[bytes, list[bytes]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name, []).append(value)
    for name, values in found.items():
        yield name.decode("latin-1"), b", ".join(values).decode("latin-1")


def response_of(message: Message) -> Reply:
    """What a worker answered, as it is sent. Raises WorkerFailed for headers that cannot be."""
    status, headers = message.head.get("status"), message.head.get("headers")
    if not isinstance(status, int) or not isinstance(headers, dict) or len(message.parts) != 1:
        raise WorkerFailed("the process that did the work answered with no response")
    pairs = list(_sent(headers))
    if not any(name == "content-type" for name, _ in pairs):
        pairs.insert(0, _HTML)
    # a status that is none is 200, as in Wasm Workers Server
    return Reply(status if 200 <= status < 600 else 200, pairs, bytes(message.parts[0]))


def _sent(headers: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in headers.items():
        key = str(name).replace("_", "-").lower()
        for text in map(str, value if isinstance(value, list) else [value]):
            # in UTF-8, as it was written
            sent = text.encode().decode("latin-1")
            if not _TOKEN.fullmatch(key) or not _VALUE.fullmatch(sent):
                raise WorkerFailed(f"the worker answered with a header that is none: {name!r}")
            if key not in _OURS:
                yield key, sent
