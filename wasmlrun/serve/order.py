"""What a server is told to serve, and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wasmlrun.serve.site import SiteSettings
from wasmlrun.support.limits import MIB
from wasmlrun.support.records import NOTHING, Record


class Order(Record):
    """What is to be served, and how."""

    site: SiteSettings | None = None
    models: Sequence[Mapping[str, Any]] = ()
    """The wishes of each, by the names of `wasmlrun.pipeline.plan.Wishes`, and its `name`."""
    chats: Sequence[Mapping[str, str]] = ()
    """Language models: `name`, as clients ask for it, and `model`, a file or the name of one."""
    context: int = 4096
    """Tokens of a chat: what is said and what is answered."""
    host: str = "127.0.0.1"
    port: int = 8080
    processes: int = 1
    waiting: int = 128
    recycle: int = 10_000
    """Calls after which a child is replaced."""
    drain: float = 30.0
    """Seconds that running requests have when the server is told to end."""
    timeout: float = 30.0
    max_body: int = 32 * MIB
    kv: Path | None = None
    log: str = "text"
    oneshot: bool = True
    allow_private: Sequence[str] = ()
    allow_hosts: Sequence[str] = ()
    """Names that the server goes by, beside those of the loopback interface."""
    per_client: int | None = None
    """Requests that one client may have at the same time."""
    rate: float | None = None
    """Requests of one client in a second."""
    require_isolation: bool = False
    """Whether a child that cannot be walled in is an error."""
    trusted_keys: Sequence[str] = ()
    """Keys of which one must have signed every model."""
    trusted_worker: bool = False
    """Whether workers must be signed too."""
    limits: Mapping[str, Any] = NOTHING
    engine: Mapping[str, Any] = NOTHING
    """`backend`, `device`, `strict_device`, `precision`, `cache`."""
