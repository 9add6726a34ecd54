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
from wasmlrun.manifest.manifest import Mount
from wasmlrun.support.errors import LimitExceeded, UsageFault
from wasmlrun.support.limits import exceeded
from wasmlrun.support.records import Record

Sink = Callable[[bytes], int | None]
"""Takes what a guest writes; a negative error number is for the guest."""


Listener = Callable[[bytes], int | None]
"""Takes what a guest writes; says how many bytes it became, if it is not as many."""
_AT_ONCE = 4096


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
    stdout: Listener | None,
    stderr: Listener,
    inherit: bool,
) -> Setup:
    """What one instance is given; `arguments` begin with the program's name.

    With `inherit` the guest has this process's own stdin if `stdin` is None, and its own stdout if
    `stdout` is None; that is counted only if there is a limit.
    """
    _check_texts(grant, arguments, environ)
    if inherit and stdout is None and output.limit is not None:
        stdout = to_descriptor(1)
    return Setup(
        mounts=grant.mounts,
        arguments=tuple(arguments),
        environ=(*grant.environ.items(), *environ),
        stdin=None if inherit and stdin is None else stdin or b"",
        stdout=None if stdout is None else output.to(stdout),
        stderr=output.to(stderr),
    )


def written_to(setup: Setup) -> Callable[[bytes], None]:
    """What writes to an instance's stdout for it, counted as its own writing is."""
    sink = setup.stdout or to_descriptor(1)

    def write(data: bytes) -> None:
        sink(data)

    return write


def _check_texts(
    grant: Grant, arguments: Sequence[str], environ: Sequence[tuple[str, str]]
) -> None:
    """WASI has Unicode and nothing else. Raises UsageFault for what is none."""
    named = {
        "the argument": arguments,
        "the variable": [text for pair in (*grant.environ.items(), *environ) for text in pair],
        "the folder": [f"{mount.host}:{mount.guest}" for mount in grant.mounts],
    }
    for what, texts in named.items():
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError:
                raise UsageFault(
                    f"{what} {text} is not UTF-8; a worker can have none that is not"
                ) from None


class Output:
    """Counts what a guest writes and cuts it off at the limit."""

    def __init__(self, limit: int | None) -> None:
        self.limit = limit
        self._written = 0
        self.exceeded = False

    def to(self, sink: Listener) -> Sink:
        """What an engine calls with each write; over the limit the guest is told EIO."""

        def write(data: bytes) -> int | None:
            # a little at a time: what is shown may be longer than what was written
            for start in range(0, len(data), _AT_ONCE):
                piece = data[start : start + _AT_ONCE]
                self._written += len(piece)
                if self.limit is not None and self._written > self.limit:
                    self.exceeded = True
                    return -5  # EIO, to the guest
                shown = sink(piece)
                if shown is not None:
                    self._written += max(0, shown - len(piece))
                    if self.limit is not None and self._written > self.limit:
                        self.exceeded = True
                        return -5
            return None

        return write

    def error(self) -> LimitExceeded:
        """The sentence for a guest that was cut off."""
        assert self.limit is not None
        return exceeded("output", self.limit, "the worker printed more")


def to_descriptor(number: int) -> Listener:
    """Writes to a descriptor, all of it."""

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
    if "table count too high" in why:
        return "tables"
    if "memory count too high" in why:
        return "memories"
    if "instance count too high" in why or "too many instances" in why:
        return "instances"
    return None
