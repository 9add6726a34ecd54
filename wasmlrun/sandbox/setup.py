"""What WASI gives an instance: arguments, variables, mounts and streams, and nothing else.

Core modules and components are given the same.
"""

from __future__ import annotations

import os
import re
import threading
import weakref
from collections.abc import Callable, Sequence

from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.reader import Mount
from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.limits import exceeded
from wasmlrun.support.records import Record

Sink = Callable[[bytes], int | None]
"""Takes what a guest writes; a negative error number is for the guest."""


class Setup(Record):
    """What one instance is given."""

    mounts: tuple[Mount, ...]
    arguments: tuple[str, ...]
    """They begin with the program's name."""
    environ: tuple[tuple[str, str], ...]
    stdin: bytes | None
    """None is this process's own."""
    stdout: Sink | None
    """None is this process's own, as for `stderr`."""
    stderr: Sink | None


class Lent:
    """Sinks lent to an engine, until it has let go of them.

    Streams are served by a thread of wasmtime's: what a guest wrote last may come when the
    guest has ended, and the thread must not meet a Python that is shutting down.
    """

    def __init__(self) -> None:
        self._returned: list[threading.Event] = []

    def lend(self, sink: Sink) -> Sink:
        """A sink for the engine alone, which does as `sink` does."""

        def write(data: bytes) -> int | None:
            return sink(data)

        returned = threading.Event()
        self._returned.append(returned)
        weakref.finalize(write, returned.set)
        return write

    def wait(self) -> None:
        """Wait until a store that was closed has let go of all."""
        for returned in self._returned:
            returned.wait(1)


class CannotMount(Exception):
    """The engine refused a folder; the message is the engine's own."""


def setup_of(
    grant: Grant,
    arguments: Sequence[str],
    environ: Sequence[tuple[str, str]],
    output: Output,
    *,
    stdin: bytes | None,
    stdout: Callable[[bytes], None],
    stderr: Callable[[bytes], None],
    inherit: bool,
) -> Setup:
    """What one instance is given; `arguments` begin with the program's name.

    With `inherit` the guest has this process's own streams, its stdin only if `stdin` is None;
    its output is counted only if there is a limit.
    """
    if inherit:
        stdout, stderr = _to_descriptor(1), _to_descriptor(2)
    uncounted = inherit and output.limit is None
    return Setup(
        mounts=grant.mounts,
        arguments=tuple(arguments),
        environ=(*grant.environ.items(), *environ),
        stdin=None if inherit and stdin is None else stdin or b"",
        stdout=None if uncounted else output.to(stdout),
        stderr=None if uncounted else output.to(stderr),
    )


def written_to(setup: Setup) -> Callable[[bytes], None]:
    """What writes to an instance's stdout for it, counted as its own writing is."""
    sink = setup.stdout or _to_descriptor(1)

    def write(data: bytes) -> None:
        sink(data)

    return write


class Output:
    """Counts what a guest writes and cuts it off at the limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._written = 0
        self.exceeded = False

    def to(self, sink: Callable[[bytes], None]) -> Sink:
        """What an engine calls with each write; over the limit the guest is told EIO."""

        def write(data: bytes) -> int | None:
            self._written += len(data)
            if self.limit is not None and self._written > self.limit:
                self.exceeded = True
                return -5  # EIO, to the guest
            sink(data)
            return None

        return write

    def error(self) -> LimitExceeded:
        """The sentence for a guest that was cut off."""
        assert self.limit is not None
        return exceeded("output", self.limit, "the worker printed more")


def _to_descriptor(number: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(number, data) :]

    return write


def sentence(text: str) -> str:
    """What wasmtime says, in one line: the head and the causes, without the backtrace."""
    head, _, causes = text.partition("Caused by:")
    lines = [] if head.startswith("error while executing") else [head.strip().splitlines()[0]]
    for line in causes.splitlines():
        cause = re.sub(r"^\s*(\d+: )?(wasm trap: )?", "", line).strip()
        if cause:
            lines.append(cause)
    return "; ".join(lines)[:400] or "no reason given"


def limit_hit(why: str) -> str | None:
    """The name of the limit that a sentence tells of, None when it is none of the engine's."""
    if "exceeds memory limits" in why:
        return "memory"
    if "exceeds table limits" in why:
        return "table"
    if "all fuel consumed" in why:
        return "fuel"
    if "instance count too high" in why or "too many instances" in why:
        return "instances"
    return None
