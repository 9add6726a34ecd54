"""`batch --engine ray`: the items of a batch through Ray Data, their rows in the items' order.

Blocks of items become a data set, which a pool of actors classifies; the rows come back in order
and this process writes them, so that the journal, --resume and the result are those of a batch on
one machine. A node that dies costs its actors and what they were at: Ray starts others and does
that again.
"""

from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

from wasmlrun.api.settings import ApiSettings
from wasmlrun.batch.item import Item
from wasmlrun.batch.rows import Row
from wasmlrun.ray.blocks import Working, read, windows
from wasmlrun.ray.posted import Identity, with_version
from wasmlrun.support.errors import SystemRefused, UsageFault
from wasmlrun.support.tasks import processors

SHARE = 0.5
"""Of a core, that an actor reserves; there is one a core. With the whole, all would be taken, and
the actors of a node that died would wait for room for ever, and the batch for them."""

_PATIENCE = 10.0
"""Seconds that a cluster's first answer may take."""


def connect(address: str | None) -> None:
    """Join the cluster at `address`, or that of RAY_ADDRESS, or one of this machine alone.

    Raises:
        UsageFault: Ray is not installed. SystemRefused: there is no cluster.
    """
    # what a batch has to say it says itself; and nobody else is told that it ran
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ImportError:
        raise UsageFault(
            "--engine ray needs Ray, which is not installed", "pip install 'wasmlrun[ray]'"
        ) from None
    logging.getLogger("ray.data").handlers.clear()
    address = address or os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _knock(address)
        with _without_stderr():  # it says that it was told to say less
            ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.CRITICAL,
                **({} if address else {"include_dashboard": False}),
            )
    except Exception as e:  # noqa: BLE001 - a start that fails has no kind of its own in Ray
        raise SystemRefused(
            f"there is no Ray cluster at {address}: {_last_line(e)}"
            if address
            else f"Ray does not start here: {_last_line(e)}",
            "start one with `ray start --head`, and name it with --address HOST:PORT",
        ) from None


def classified(
    items: Iterable[Item],
    settings: ApiSettings,
    identity: Identity,
    hear: Callable[[str], None],
    *,
    actors: int | None = None,
    timings: bool = True,
) -> Generator[Row, None, None]:
    """The rows of the items, in their order. `identity` is what this machine has; `hear` is told
    of nodes that die.

    Raises:
        WasmlrunError: the cluster gave up; what an actor said of worker and model.
    """
    from ray.exceptions import RayError

    count = actors or _cores()
    try:
        with redirect_stdout(_Aside(hear)):
            for blocks in windows(iter(items), count):
                yield from _one_pass(blocks, settings, identity, count, timings)
    except RayError as e:
        raise SystemRefused(
            f"the Ray cluster gave up: {_last_line(e)}", "--resume goes on when it is well again"
        ) from e


def _one_pass(
    blocks: list[Any], settings: ApiSettings, identity: Identity, actors: int, timings: bool
) -> Iterator[Row]:
    import ray

    data = ray.data.from_arrow(blocks)
    data.context.execution_options.preserve_order = True
    data.context.enable_progress_bars = False
    data = data.map_batches(
        Working,
        fn_constructor_kwargs={
            "settings": settings,
            "identity": dict(with_version(identity)),
            "timings": timings,
        },
        compute=ray.data.ActorPoolStrategy(size=max(1, min(actors, len(blocks)))),
        num_cpus=SHARE,
        batch_size=None,
        batch_format="pyarrow",
    )
    for answers in data.iter_batches(batch_format="pyarrow", batch_size=None):
        yield from read(answers)


def _knock(address: str) -> None:
    """Whether somebody listens there: Ray itself tries for minutes. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host and "/" not in address and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _PATIENCE).close()


@contextmanager
def _without_stderr() -> Iterator[None]:
    """For what native code writes there."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


class _Aside(io.TextIOBase):
    """What Ray prints where answers belong. Of a node's death it is told once a node."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear

    def write(self, text: str) -> int:
        """Take it, and tell what matters."""
        if "has been marked dead" in text:
            self._hear("a node of the cluster died; others do what it was at")
        return len(text)


def _cores() -> int:
    """Of the whole cluster."""
    import ray

    resources: Any = ray.cluster_resources  # has no types
    return int(resources().get("CPU", processors()))


def _last_line(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1][:300] if lines else type(error).__name__
