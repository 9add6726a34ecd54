"""The processes that do a server's work: what they are told, their limits and their walls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wasmlrun.serve import chat_work, work
from wasmlrun.serve.fence import fence_of
from wasmlrun.serve.order import Order
from wasmlrun.serve.site import SiteSettings
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.child import Child
from wasmlrun.support.limits import MIB, Limits, with_limits
from wasmlrun.support.messages import Messages, printable
from wasmlrun.support.tasks import processors
from wasmlrun.walls.child import Fence

MAX_ANSWER = 256 * MIB
"""Bytes of a child's answer."""
OPENING_SECONDS = 300.0
"""A first start reads and compiles models, whatever time a request has."""


def worker_child(order: Order, messages: Messages) -> Child:
    """A process for a site's workers and for models that take tensors."""
    settings = {
        "folder": str(Path.cwd()),
        "site": str(order.site.folder) if order.site is not None else "",
        "allow_outside": order.site.allow_outside if order.site is not None else False,
        "allow_private": list(order.allow_private),
        **_trust(order),
        "models": [{k: v for k, v in m.items() if k != "name"} for m in order.models],
        "limits": {**order.limits, "timeout": order.timeout},
        "threads": _threads(order.processes),
        **order.engine,
    }
    return Child(
        work.__name__,
        Message(settings),
        timeout=order.timeout,
        opening_timeout=OPENING_SECONDS,
        most=MAX_ANSWER,
        calls=order.recycle,
        hear=lambda text: messages.info(printable(text.rstrip("\n"))),
        memory=with_limits(Limits(), order.limits).process_memory,
        fence=_fence(order, order.site, order.models),
    )


def chat_child(order: Order, messages: Messages) -> Child:
    """A process for language models, which has all cores to itself while it answers."""
    settings = {
        "folder": str(Path.cwd()),
        "models": [chat["model"] for chat in order.chats],
        "context": order.context,
        **_trust(order),
        "limits": dict(order.limits),
        **order.engine,
    }
    return Child(
        chat_work.__name__,
        Message(settings),
        timeout=order.timeout,
        opening_timeout=OPENING_SECONDS,
        most=MAX_ANSWER,
        hear=lambda text: messages.info(printable(text.rstrip("\n"))),
        memory=with_limits(Limits(), order.limits).process_memory,
        fence=_fence(order, None, order.chats),
    )


def _threads(processes: int) -> int:
    """How many threads each process computes on: twice its share of the cores, so that a request
    that comes alone does not leave the other cores idle.
    """
    return min(processors(), max(1, 2 * processors() // processes))


def _trust(order: Order) -> dict[str, object]:
    return {"trusted_keys": list(order.trusted_keys), "trusted_worker": order.trusted_worker}


def _fence(order: Order, site: SiteSettings | None, models: Sequence[Mapping[str, Any]]) -> Fence:
    return fence_of(
        site, models, order.engine, keys=order.trusted_keys, required=order.require_isolation
    )
