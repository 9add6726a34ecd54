"""What a worker may use at most; each limit has a sane default."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_TIMEOUT = 60.0
DEFAULT_MEMORY = 1 << 30
DEFAULT_OUTPUT = 16 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one command's guests."""

    timeout: float = DEFAULT_TIMEOUT
    """Seconds of wall clock for the whole command."""
    memory: int = DEFAULT_MEMORY
    """Bytes of linear memory."""
    output: int | None = DEFAULT_OUTPUT
    """Bytes written to stdout and stderr together; None is any number."""
