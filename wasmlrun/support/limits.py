"""What a worker may use at most: each limit's name, default, flag, and the error when it is hit.

A limit is set by its flag, else by `[limits]` in the manifest, else it is the default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.records import Record, defaults, replace

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MOST = 1 << 53
"""The largest value of a limit: beyond it, numbers no longer fit the engines'."""
MOST_SECONDS = 1e9
MAX_PIXELS = 100_000_000
"""Pixels of an image that is still decoded."""


class Limits(Record):
    """Limits of one command's guests; None is "as much as it likes"."""

    timeout: float = 60.0
    """Seconds of wall clock for the whole command, inference included."""
    fuel: int | None = None
    """WebAssembly instructions (about one unit each) of one run; the same on every machine."""
    memory: int = GIB
    """Bytes of linear memory of one instance."""
    table: int = 1_000_000
    """Elements of each table."""
    instances: int = 256
    """Core instances in one run; a component is made of several."""
    model_size: int = GIB
    """Bytes of one model that the guest loads."""
    graphs: int = 16
    """Graphs alive at once in one run."""
    contexts: int = 64
    """Execution contexts alive at once in one run."""
    tensor_bytes: int = GIB
    """Bytes of all input tensors and of the last output, alive at once in one run."""
    process_memory: int = 8 * GIB
    """Bytes of writable memory of the whole process, the inference engine included."""
    output: int | None = 16 * MIB
    """Bytes written to stdout and stderr together."""


FLAGS = {
    "timeout": "--timeout",
    "fuel": "--fuel",
    "memory": "--max-memory",
    "table": "--max-table",
    "instances": "--max-instances",
    "model_size": "--max-model-size",
    "graphs": "--max-graphs",
    "contexts": "--max-contexts",
    "tensor_bytes": "--max-tensor-bytes",
    "process_memory": "--max-process-memory",
    "output": "--max-output",
}
NAMES = tuple(defaults(Limits))


def with_limits(limits: Limits, chosen: Mapping[str, Any]) -> Limits:
    """The limits with those that are given (not None) replaced."""
    return replace(limits, **{k: v for k, v in chosen.items() if v is not None})


def exceeded(name: str, value: float, what: str) -> LimitExceeded:
    """The error for a limit that was hit: its name, its value, and how to raise it."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return LimitExceeded(
        f"the {name} limit of {shown} {_UNITS[name]} was reached: {what}",
        f"raise it with {FLAGS[name]}, or {name} under [limits] in the manifest",
        limit=name,
    )


_UNITS = {
    "timeout": "s",
    "fuel": "units",
    "memory": "bytes",
    "table": "elements",
    "instances": "instances",
    "model_size": "bytes",
    "graphs": "graphs",
    "contexts": "contexts",
    "tensor_bytes": "bytes",
    "process_memory": "bytes",
    "output": "bytes",
}


def timeout_error(limits: Limits) -> LimitExceeded:
    """The error for a run that took too long."""
    return exceeded("timeout", limits.timeout, "the run took longer")
