"""From what the command line asks for to a server that runs until it is told to end.

uvicorn listens and speaks HTTP; `app` answers. SIGTERM and Ctrl-C let what runs come to its end.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from threading import Event
from typing import Any

import uvicorn

from wasmlrun.serve import oneshot
from wasmlrun.serve.admission import Names, Rates
from wasmlrun.serve.api import Api, Model
from wasmlrun.serve.app import App
from wasmlrun.serve.chat import Chat
from wasmlrun.serve.guard import GuardedProtocol
from wasmlrun.serve.kv import InFile, InMemory, Stores
from wasmlrun.serve.metrics import Metrics
from wasmlrun.serve.order import Order
from wasmlrun.serve.pool import Pool
from wasmlrun.serve.processes import chat_child, worker_child
from wasmlrun.serve.site import Site
from wasmlrun.supervisor.channel import Message
from wasmlrun.support.bundled import DEFAULT_WORKER
from wasmlrun.support.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    UsageFault,
)
from wasmlrun.support.messages import Messages

BACKLOG = 2048
MAX_CONNECTIONS = 4096


def serve(order: Order, messages: Messages) -> int:
    """Serve until a signal; the exit code.

    Raises:
        WasmlrunError: what is to be served cannot be, or nobody can listen there.
    """
    listening = _listen(order.host, order.port)
    try:
        with asyncio.Runner(loop_factory=_loop()) as runner:
            return runner.run(_serve(order, listening, messages))
    finally:
        listening.close()


async def _serve(order: Order, listening: socket.socket, messages: Messages) -> int:
    # without a site and models there is nothing for it to do
    count = order.processes if order.site is not None or order.models else 0
    pool = Pool(lambda: worker_child(order, messages), count, order.waiting)
    # a second one would have as much memory again, and no cores
    chats = Pool(lambda: chat_child(order, messages), 1 if order.chats else 0, order.waiting)
    stores: Stores = InFile(order.kv) if order.kv is not None else InMemory()
    warm: oneshot.Server | None = None
    try:
        site = Site(order.site, pool, stores, messages) if order.site is not None else None
        await asyncio.gather(pool.prepare(), chats.prepare())
        models = await _models(order, pool)
        ending = Event()
        api = Api(models, pool, order.max_body, ending) if models else None
        chat = _chat(order, chats)
        names = Names(order.host, order.allow_hosts)
        rates = Rates(order.per_client, order.rate)
        metrics = Metrics(pool, chats)
        app = App(site, api, chat, metrics, messages, order.log, ending, names, rates)
        if order.oneshot and models and not order.limits:
            warm = oneshot.Server(order.models, order.engine, pool, messages)
            await warm.start()
        server = _Server(_config(app, order), ending)
        _announce(order, site, models, listening, messages)
        ahead = asyncio.ensure_future(site.prepare()) if site is not None else None
        await server.serve([listening])
        if ahead is not None:
            ahead.cancel()
        return server.code
    finally:
        if warm is not None:
            await warm.close()
        pool.close()
        chats.close()
        stores.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which says not ready as soon as it is told to end."""

    def __init__(self, config: uvicorn.Config, ending: Event) -> None:
        super().__init__(config)
        self._ending = ending
        self.code = EXIT_OK

    def handle_exit(self, sig: int, frame: Any) -> None:
        """The first signal lets requests end, a second does not wait for them."""
        self._ending.set()
        self.code = EXIT_INTERRUPTED if sig == signal.SIGINT else EXIT_TERMINATED
        super().handle_exit(sig, frame)
        # uvicorn would raise the signal again when all is over; here it is an exit code
        self._captured_signals.clear()


def _config(app: App, order: Order) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    return uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=int(order.drain),
        backlog=BACKLOG,
        limit_concurrency=_most_connections(),
    )


def _most_connections() -> int:
    """As many as descriptors are left for, beside those of the children and of files."""
    try:
        import resource
    except ImportError:
        return MAX_CONNECTIONS
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_CONNECTIONS if soft < 0 else max(16, min(MAX_CONNECTIONS, soft - 200))


async def _models(order: Order, pool: Pool) -> list[Model]:
    if not order.models:
        return []

    async def never() -> None:
        await asyncio.Event().wait()

    answer = await pool.call(Message({"op": "about"}), never)
    return [
        Model(wishes["name"], Path(wishes.get("worker") or DEFAULT_WORKER).stem, about)
        for wishes, about in zip(order.models, answer.head["models"], strict=True)
    ]


def _chat(order: Order, pool: Pool) -> Chat | None:
    if not order.chats:
        return None
    names = [chat["name"] for chat in order.chats]
    return Chat(names, pool, order.max_body, order.context, order.timeout)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as e:
        listening.close()
        raise UsageFault(
            f"nobody can listen at {host} port {port}: {e.strerror or e}",
            "choose another with --port, or 0 for any that is free",
        ) from e
    listening.set_inheritable(False)
    return listening


def _announce(
    order: Order,
    site: Site | None,
    models: Sequence[Model],
    listening: socket.socket,
    messages: Messages,
) -> None:
    host, port = listening.getsockname()[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    if site is not None:
        for route in site.loaded.routes.routes:
            messages.info(f"    {base}{route.path}\n      => {route.file}")
    for model in models:
        messages.info(f"    {base}/classify?model={model.name}")
    for chat in order.chats:
        messages.info(f"    {base}/v1/chat/completions, model {chat['name']}")
    with suppress(ValueError):
        import ipaddress

        if not ipaddress.ip_address(host).is_loopback:
            messages.warn(f"{host} can be reached by others; there is no password")
    messages.info(f"serving at {base}/")


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The quicker loop, where there is one; None is asyncio's own."""
    if find_spec("uvloop") is None:
        return None
    import uvloop

    made: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return made
