"""What a worker may use at most: one table of limits, and the error when one is hit.

A limit is set by its flag, else it is the default or what `[limits]` in the manifest lowers it to:
a manifest comes with the worker, and only the user raises a limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.records import Record, defaults, replace

T = TypeVar("T")
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


class Limit(Record):
    """One row of the table: all that options, manifests, messages and docs say of a limit."""

    name: str
    """The key under `[limits]`, and the field of `Limits`."""
    default: float | int | None
    """None is "as much as it likes"."""
    unit: str
    flag: str
    metavar: str
    help: str
    """The flag's line in --help, the default apart."""
    bounds: str
    """What docs/limits.md says that it bounds."""
    unlimited: str = "none"
    """What --help says where there is no default."""

    @property
    def is_time(self) -> bool:
        """Whether it is a number of seconds; every other limit is a whole number."""
        return self.unit == "s"

    @property
    def is_size(self) -> bool:
        """Whether it is a number of bytes, which may be written as `512M`."""
        return self.unit == "bytes"

    @property
    def most(self) -> float | int:
        """The largest value that it may have."""
        return MOST_SECONDS if self.is_time else MOST


_rows: list[dict[str, str]] = []


def _limit(default: T, **row: str) -> T:
    """A field of `Limits` and its row of the table."""
    _rows.append(row)
    return default


class Limits(Record):
    """Limits of one command's guests, by name; None is "as much as it likes".

    This is the one place where limits are listed. What is said of each is its row of `TABLE`.
    """

    timeout: float = _limit(
        60.0,
        unit="s",
        flag="--timeout",
        metavar="SECONDS",
        help="Wall clock for the whole command.",
        bounds="wall clock of the whole command, inference and parsers included",
    )
    fuel: int | None = _limit(
        None,
        unit="units",
        flag="--fuel",
        metavar="UNITS",
        help="Instructions of one run, the same on every machine.",
        bounds="WebAssembly instructions of one run, the same on every machine",
        unlimited="any number",
    )
    memory: int = _limit(
        GIB,
        unit="bytes",
        flag="--max-memory",
        metavar="BYTES",
        help="Linear memory.",
        bounds="each linear memory of an instance",
    )
    table: int = _limit(
        1_000_000,
        unit="elements",
        flag="--max-table",
        metavar="N",
        help="Elements of a table.",
        bounds="elements of each table",
    )
    instances: int = _limit(
        256,
        unit="instances",
        flag="--max-instances",
        metavar="N",
        help="Core instances.",
        bounds="core instances in one run",
    )
    memories: int = _limit(
        64,
        unit="memories",
        flag="--max-memories",
        metavar="N",
        help="Linear memories.",
        bounds="linear memories in one run",
    )
    tables: int = _limit(
        256,
        unit="tables",
        flag="--max-tables",
        metavar="N",
        help="Tables.",
        bounds="tables in one run",
    )
    model_size: int = _limit(
        GIB,
        unit="bytes",
        flag="--max-model-size",
        metavar="BYTES",
        help="A model that the worker loads.",
        bounds="bytes of one model that the worker loads",
    )
    graphs: int = _limit(
        16,
        unit="graphs",
        flag="--max-graphs",
        metavar="N",
        help="Graphs alive at once.",
        bounds="models loaded at once in one run",
    )
    contexts: int = _limit(
        64,
        unit="contexts",
        flag="--max-contexts",
        metavar="N",
        help="Execution contexts alive at once.",
        bounds="execution contexts open at once in one run",
    )
    tensor_bytes: int = _limit(
        GIB,
        unit="bytes",
        flag="--max-tensor-bytes",
        metavar="BYTES",
        help="Tensors alive at once.",
        bounds="input tensors and the last output, alive at once",
    )
    tokens: int | None = _limit(
        100_000,
        unit="tokens",
        flag="--max-tokens",
        metavar="N",
        help="Tokens that a language model generates in one computation.",
        bounds="tokens that a language model generates in one computation",
    )
    process_memory: int = _limit(
        8 * GIB,
        unit="bytes",
        flag="--max-process-memory",
        metavar="BYTES",
        help="Writable memory of the whole process.",
        bounds="writable memory of the whole process, engines included (Linux)",
    )
    output: int | None = _limit(
        16 * MIB,
        unit="bytes",
        flag="--max-output",
        metavar="BYTES",
        help="What the worker prints.",
        bounds="stdout and stderr of the worker together; `run` has no limit unless one is given",
    )


TABLE = {
    name: Limit(name, default, **row)
    for (name, default), row in zip(defaults(Limits).items(), _rows, strict=True)
}
"""Each limit by its name, in the order of `Limits`."""


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
                f"it stays at {most}: {TABLE[name].flag} raises it"
            )


def exceeded(name: str, value: float, what: str) -> LimitExceeded:
    """The error for a limit that was hit: its name, its value, and how to raise it."""
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return LimitExceeded(
        f"the {name} limit of {shown} {TABLE[name].unit} was reached: {what}",
        f"raise it with {TABLE[name].flag}",
        limit=name,
    )


def timeout_error(limits: Limits) -> LimitExceeded:
    """The error for a run that took too long."""
    return exceeded("timeout", limits.timeout, "the run took longer")
