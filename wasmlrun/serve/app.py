"""The application: every request through one door, where it is timed, counted and logged."""

from __future__ import annotations

import json
import time
from collections.abc import MutableMapping
from datetime import UTC, datetime
from threading import Event
from typing import Any

from wasmlrun.serve import answers
from wasmlrun.serve.admission import Names, Rates
from wasmlrun.serve.answers import Refused, Reply, as_json, error_answer, readiness
from wasmlrun.serve.api import Api
from wasmlrun.serve.chat import Chat
from wasmlrun.serve.guard import ClientGone, Receive, Scope, Send
from wasmlrun.serve.metrics import CONTENT_TYPE, Metrics
from wasmlrun.serve.openapi import description
from wasmlrun.serve.page import Pages
from wasmlrun.serve.pool import Gone
from wasmlrun.serve.site import Site
from wasmlrun.support.messages import Messages, printable

CLOSED = 499
"""In logs: the client was gone before there was an answer."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
OPERATIONS = "/_wasmlrun"
"""Where health and metrics of a site are: names that begin with _ are never a site's own."""


class App:
    """What the server runs: a site, an API, or both."""

    def __init__(
        self,
        site: Site | None,
        api: Api | None,
        chat: Chat | None,
        metrics: Metrics,
        messages: Messages,
        log: str,
        ending: Event,
        names: Names,
        rates: Rates,
    ) -> None:
        """`log` is "text", "json" or "none"; `ending` is set when the server is about to end."""
        self._site = site
        self._api = api
        self._chat = chat
        self._metrics = metrics
        self._messages = messages
        self._log = log
        self._ending = ending
        self._names = names
        self._rates = rates
        self._pages = Pages() if api is not None and api.models else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":  # no websockets, and no lifespan to speak of
            return
        started = time.perf_counter()
        status, size = CLOSED, 0

        async def counted(message: MutableMapping[str, Any]) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                size += len(message.get("body", b""))
            await send(message)

        route = "failed"
        try:
            route = await self._admitted(scope, receive, counted)
        except (Gone, ClientGone):
            route = "gone"
        finally:
            seconds = time.perf_counter() - started
            self._metrics.count(route, status, seconds)
            if self._log != "none":
                self._tell(scope, route, status, size, seconds)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send) -> str:
        client: str | None = None
        try:
            _check_line(scope)
            self._names.check(scope)
            if scope["path"] == "*":  # about the server, and nothing of it
                await answers.send(Reply(204, (("allow", _METHODS),)), send)
                return "*"
            if self._rates.limited:
                client = self._rates.enter(scope)
        except Refused as refused:
            await answers.send(error_answer(refused), send)
            return "refused"
        try:
            return await self._route(scope, receive, send)
        finally:
            if client is not None:
                self._rates.leave(client)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> str:
        path = scope["path"]
        own = self._own(path.removeprefix(OPERATIONS)) if self._mine(path) else None
        if own is not None:
            await answers.send(own, send)
            return path if isinstance(path, str) else "own"
        if self._chat is not None:
            chatted = await self._chat.answer(scope, receive, send)
            if chatted is not None:
                return chatted
        if self._api is not None:
            try:
                found = await self._api.answer(scope, receive)
            except Exception as error:
                if isinstance(error, (Gone, ClientGone)):
                    raise
                found = "refused", error_answer(error)
            if found is not None:
                await answers.send(found[1], send)
                return found[0]
        if self._site is not None and not path.startswith(f"{OPERATIONS}/"):
            page = self._page(path) if path != "/" or not self._has_root() else None
            if page is None:
                return await self._site.answer(scope, receive, send)
            await answers.send(page, send)
            return "page"
        page = self._page(path)
        await answers.send(
            page or error_answer(answers.Refused(404, "there is nothing here")), send
        )
        return "page" if page is not None else "not found"

    def _mine(self, path: str) -> bool:
        # a site has its own names, and no server takes any of them away
        return path.startswith(f"{OPERATIONS}/") or self._site is None

    def _has_root(self) -> bool:
        assert self._site is not None
        return self._site.answers_root

    def _page(self, path: str) -> Reply | None:
        return self._pages.find(path) if self._pages is not None else None

    def _own(self, path: str) -> Reply | None:
        match path:
            case "/healthz":
                return as_json({"live": True})
            case "/readyz":
                return readiness(self._ending)
            case "/metrics":
                return Reply(200, (("content-type", CONTENT_TYPE),), self._metrics.text())
            case "/openapi.json" if self._api is not None or self._chat is not None:
                models = [model.name for model in self._api.models] if self._api else []
                return as_json(description(models, self._chat.names if self._chat else ()))
        return None

    def _tell(self, scope: Scope, route: str, status: int, size: int, seconds: float) -> None:
        client = (scope.get("client") or ("-",))[0]
        if self._log == "json":
            line = json.dumps(
                {
                    "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                    "client": client,
                    "method": scope["method"],
                    "path": scope["path"],
                    "route": route,
                    "status": status,
                    "bytes": size,
                    "ms": round(seconds * 1000, 2),
                }
            )
        else:
            path = printable(scope["path"], keep="")
            line = f"{client} {scope['method']} {path} {status} {seconds * 1000:.1f} ms"
        self._messages.info(line)


def _check_line(scope: Scope) -> None:
    """Raises Refused for a request line that no worker should have to judge."""
    version, method = scope["http_version"], scope["method"]
    if version not in ("1.0", "1.1"):
        raise Refused(505, f"HTTP/{version} is not spoken here; HTTP/1.1 is")
    if method == "TRACE":  # it would show a page what its browser sends of its own accord
        raise Refused(405, "TRACE is not possible here", allow=_METHODS)
    if scope["path"] == "*" and method != "OPTIONS":
        raise Refused(400, f"{method} * is no request; OPTIONS * is")
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" and value.strip().lower() != b"chunked":
            raise Refused(501, "of transfer codings only chunked is understood")
