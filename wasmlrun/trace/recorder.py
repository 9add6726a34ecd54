"""What happened: WASI-NN calls and stages, as Chrome's trace events and as lines.

A trace file opens in Perfetto (ui.perfetto.dev) and chrome://tracing. It is an array of
complete events in JSON that is whole after every event, so that nothing is lost and nothing
is malformed when the guest traps, the process crashes, or somebody presses Ctrl-C.

Nothing here is imported unless somebody asked to see.
"""

from __future__ import annotations

import json
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wasmlrun.support.errors import UsageFault
from wasmlrun.support.tensor import DType, Tensor, describe
from wasmlrun.wasi_nn.errors import NnError

_TAIL = b"\n]\n"


class TraceFile:
    """An array of events that is valid JSON after each of them, also if the next never comes."""

    def __init__(self, path: Path) -> None:
        """Create the file, or empty one that holds an older trace.

        Raises:
            UsageFault: it cannot be written, or is a file of another kind.
        """
        try:
            # a pipe or a device would be written to in the middle, and is told at once
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | _BINARY | _NO_WAITING, 0o666)
            if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
                raise UsageFault(f"--trace {path}: it is no regular file", "name a file")
            if not _is_trace(os.read(self._descriptor, 200)):
                raise UsageFault(
                    f"--trace {path}: the file exists and is no trace",
                    "name a new file; an existing one is overwritten only if it holds a trace",
                )
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, b"[" + _TAIL)
        except OSError as e:
            raise UsageFault(f"--trace {path}: {e.strerror}", "name a file to write to") from e

    def append(self, event: dict[str, Any]) -> None:
        """Add one event. Raises OSError."""
        data = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        # the end is asked for each time: a process that took over from one that crashed goes on
        # where that one stopped
        end = os.lseek(self._descriptor, 0, os.SEEK_END) - len(_TAIL)
        os.lseek(self._descriptor, end, os.SEEK_SET)
        separator = b",\n" if end > 1 else b"\n"
        # one write: whoever reads, at whatever time, finds a whole array
        os.write(self._descriptor, separator + data + _TAIL)


def _is_trace(beginning: bytes) -> bool:
    """Whether a file that begins so holds a trace of this program, or nothing."""
    if beginning in (b"", b"[" + _TAIL):
        return True
    name = (
        rb'\[\n\{"name":"process_name","ph":"M","pid":\d+,"tid":\d+,"args":\{"name":"wasmlrun"\}\}'
    )
    return re.match(name, beginning) is not None


_BINARY = getattr(os, "O_BINARY", 0)
_NO_WAITING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(frozen=True, slots=True)
class Statistics:
    """What a tensor's numbers are like; None where none of them is finite."""

    minimum: float | None
    maximum: float | None
    mean: float | None
    not_finite: int = 0


class Trace:
    """Records the calls and stages of one command; serves several threads."""

    def __init__(
        self,
        file: TraceFile | None,
        line: Callable[[str], None] | None,
        warn: Callable[[str], None],
    ) -> None:
        """Events go to `file`, one line a call to `line`; a file that fails is told once."""
        self._file = file
        self._line = line
        self._warn = warn
        self._started = time.perf_counter_ns()
        self._lock = threading.Lock()
        self._named: set[tuple[int, int]] = set()

    def observer(self) -> CallObserver:
        """What records the calls of one instance."""
        import numpy  # noqa: F401 - now, so that no call's span has the time that this takes

        return CallObserver(self)

    @contextmanager
    def span(self, name: str, **facts: object) -> Iterator[None]:
        """The block is a stage."""
        started = time.perf_counter_ns()
        try:
            yield
        except BaseException as error:
            facts["error"] = str(error) or type(error).__name__
            raise
        finally:
            self._add(name, "stage", started, time.perf_counter_ns(), facts)

    def instant(self, name: str, category: str = "end", **facts: object) -> None:
        """Something that took no time, such as the end of a process."""
        now = time.perf_counter_ns()
        self._write({"name": name, "cat": category, "ph": "i", "s": "g", **self._at(now)}, facts)

    def called(
        self, name: str, started: int, ended: int, facts: dict[str, object], error: Exception | None
    ) -> None:
        """A WASI-NN call has ended; times are of `perf_counter_ns`."""
        shown = {key: _shown(value) for key, value in facts.items()}
        if error is None:
            shown["errno"] = 0
        else:
            if isinstance(error, NnError):
                shown["errno"] = int(error.errno)
            shown["error"] = str(error)
        self._add(name, "wasi-nn", started, ended, shown)
        if self._line is not None:
            self._line(_as_line(name, shown, (ended - started) / 1e6))

    def _add(
        self, name: str, category: str, started: int, ended: int, facts: dict[str, object]
    ) -> None:
        event = {"name": name, "cat": category, "ph": "X", **self._at(started)}
        event["dur"] = (ended - started) / 1000
        self._write(event, facts)

    def _at(self, moment: int) -> dict[str, Any]:
        return {
            "ts": (moment - self._started) / 1000,
            "pid": os.getpid(),
            "tid": threading.get_native_id(),
        }

    def _write(self, event: dict[str, Any], facts: dict[str, object]) -> None:
        with self._lock:
            if self._file is None:
                return
            try:
                self._name_thread(self._file, event["pid"], event["tid"])
                self._file.append({**event, "args": facts})
            except OSError as e:
                self._file = None
                self._warn(f"the trace ends here, it cannot be written: {e.strerror}")

    def _name_thread(self, file: TraceFile, pid: int, tid: int) -> None:
        """What viewers call the rows of a process and its threads."""
        names = [("process_name", (pid, 0), "wasmlrun")]
        names.append(("thread_name", (pid, tid), threading.current_thread().name))
        for kind, key, name in names:
            if key not in self._named:
                self._named.add(key)
                event = {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}
                file.append(event)


class CallObserver:
    """Gathers the facts of one instance's calls, one call at a time (a `session.Observer`)."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._facts: dict[str, object] = {}

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """The block is a call of this name; an error that leaves it is the call's."""
        facts = self._facts = {}
        failed: Exception | None = None
        started = time.perf_counter_ns()
        try:
            yield
        except Exception as error:
            failed = error
            raise
        finally:
            # the tensors are looked at after the clock was read
            self._trace.called(name, started, time.perf_counter_ns(), facts, failed)

    def note(self, **facts: object) -> None:
        """An argument or a result of the call that runs."""
        self._facts.update(facts)


def statistics(tensor: Tensor) -> Statistics:
    """Minimum, maximum and mean of the finite numbers of a tensor."""
    import numpy as np

    with suppress(ValueError):  # data that its type does not divide
        if tensor.dtype is DType.BF16:
            halves = np.frombuffer(tensor.data, np.uint16).astype(np.uint32) << 16
            numbers = halves.view(np.float32)
        else:
            numbers = np.frombuffer(tensor.data, _NUMPY[tensor.dtype])
        finite = numbers
        if numbers.dtype.kind == "f":
            mask = np.isfinite(numbers)
            if not mask.all():
                finite = numbers[mask]
        if finite.size:
            return Statistics(
                finite.min().item(),
                finite.max().item(),
                finite.mean(dtype=np.float64).item(),
                int(numbers.size - finite.size),
            )
        return Statistics(None, None, None, int(numbers.size))
    return Statistics(None, None, None)


_NUMPY = {
    DType.F16: "<f2",
    DType.F32: "<f4",
    DType.F64: "<f8",
    DType.U8: "u1",
    DType.I8: "i1",
    DType.I32: "<i4",
    DType.I64: "<i8",
    DType.BOOL: "u1",
}


def _shown(value: object) -> object:
    """A fact as JSON has it: tensors become shape, type, size and statistics."""
    if isinstance(value, Tensor):
        found = statistics(value)
        shown: dict[str, object] = {
            "shape": list(value.shape),
            "type": value.dtype.value,
            "bytes": len(value.data),
            "min": found.minimum,
            "max": found.maximum,
            "mean": found.mean,
        }
        if found.not_finite:
            shown["not_finite"] = found.not_finite
        return shown
    if isinstance(value, dict):
        return {str(key): _shown(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(inner) for inner in value]
    return value


def _as_line(name: str, facts: dict[str, object], milliseconds: float) -> str:
    told = dict(facts)
    error, errno = told.pop("error", None), told.pop("errno", None)
    words = ", ".join(f"{key} {_in_words(value)}" for key, value in told.items())
    ending = f"errno {errno}" if errno is not None else "the run ends"
    line = f"wasi-nn: {name} {words} → {ending} in {milliseconds:.2f} ms"
    return f"{line}: {error}" if error is not None else line


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        if "shape" not in value:
            return "; ".join(f"{key} {_in_words(inner)}" for key, inner in value.items())
        words = f"{describe(value['shape'], DType(value['type']))} ({value['bytes']} bytes"
        if value["mean"] is not None:
            words += f", {value['min']:.4g} to {value['max']:.4g}, mean {value['mean']:.4g}"
        if "not_finite" in value:
            words += f", {value['not_finite']} not finite"
        return words + ")"
    if isinstance(value, list):
        return " + ".join(map(_in_words, value))
    return repr(value) if isinstance(value, str) else str(value)
