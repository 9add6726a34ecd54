"""What a worker may use at most; each limit has a sane default."""

from __future__ import annotations

from dataclasses import dataclass

from wasmlrun.errors import LimitExceeded

DEFAULT_TIMEOUT = 60.0
DEFAULT_MEMORY = 1 << 30
DEFAULT_OUTPUT = 16 << 20
MAX_PIXELS = 100_000_000
"""Pixels of an image that is still decoded."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one command's guests."""

    timeout: float = DEFAULT_TIMEOUT
    """Seconds of wall clock for the whole command."""
    memory: int = DEFAULT_MEMORY
    """Bytes of linear memory."""
    output: int | None = DEFAULT_OUTPUT
    """Bytes written to stdout and stderr together; None is any number."""


def timeout_error(limits: Limits) -> LimitExceeded:
    """The sentence for a run that took too long."""
    return LimitExceeded(
        f"the time limit of {limits.timeout:g} s was reached", "raise it with --timeout SECONDS"
    )
