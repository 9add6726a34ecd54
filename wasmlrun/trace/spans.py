"""Stages of a command in its trace, if it has one."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmlrun.trace.recorder import Trace


def span(trace: Trace | None, name: str, **facts: object) -> AbstractContextManager[None]:
    """The block is a stage of this name."""
    return nullcontext() if trace is None else trace.span(name, **facts)
