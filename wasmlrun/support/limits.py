"""What a worker may use at most: each limit's name, default, flag, and the error when it is hit.

A limit is set by its flag, else it is the default or what `[limits]` in the manifest lowers it to:
a manifest comes with the worker, and only the user raises a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.records import Record, defaults, replace

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
MOST = 1 << 53
"""The largest value of a limit: beyond it, numbers no longer fit the engines'."""
MOST_SECONDS = 1e9
MAX_PIXELS = 100_000_000
"""Pixels of an image that is still decoded."""
MAX_IMAGE_BYTES = 512 * MIB
"""Bytes of an image file that is still read."""
MAX_MODEL_BYTES = 4 * GIB
"""Bytes of each file of a model that the host reads itself."""
MAX_BODY_BYTES = 256 * MIB
"""Bytes of a request's body."""
MAX_WORKER_BYTES = 512 * MIB
"""Bytes of a worker's file."""
MAX_MANIFEST_BYTES = MIB
"""Bytes of a manifest."""


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


def lowered(limits: Limits, wanted: Mapping[str, Any]) -> Limits:
    """The limits with those that are wanted lower replaced; None is no limit."""
    lower = {
        name: value
        for name, value in wanted.items()
        if getattr(limits, name) is None or value < getattr(limits, name)
    }
    return replace(limits, **lower)


def raised(limits: Limits, wanted: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each limit that is wanted higher than it is."""
    for name, value in wanted.items():
        most = getattr(limits, name)
        if most is not None and value > most:
            yield (
                f"the manifest asks for {name} = {value}; a manifest can only lower limits, and "
                f"it stays at {most}: {FLAGS[name]} raises it"
            )


def exceeded(name: str, value: float, what: str) -> LimitExceeded:
    """The error for a limit that was hit: its name, its value, and how to raise it."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return LimitExceeded(
        f"the {name} limit of {shown} {_UNITS[name]} was reached: {what}",
        f"raise it with {FLAGS[name]}",
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
