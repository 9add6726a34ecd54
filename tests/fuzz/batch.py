"""Inputs in a forked child: it may crash, hang or eat memory, and the next child goes on.

The child writes the number of its input into shared memory before it begins, so that the
parent knows which input ended it.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import signal
import struct
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fuzz.target import Broken, Target, source

_BOARD = struct.Struct("<qd")  # number of the input at work, when it began
CHILD = 250
"""Inputs that one child goes through before a fresh one takes over: engines leak a little."""
MUCH = 1 << 30
"""Bytes more than before that make an input one that eats memory."""


@dataclass
class Counts:
    """What came of the inputs of one target."""

    inputs: int = 0
    seconds: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)


def run(
    target: Target[Any], seed: int, first: int, seconds: float, count: int, folder: Path
) -> Counts:
    """Feed inputs from number `first` on, until the time or the count is over."""
    counts = Counts()
    started = time.monotonic()
    number, last = first, first + count
    while number < last and time.monotonic() - started < seconds:
        size = min(CHILD, last - number)
        number = _child(target, seed, number, size, started + seconds, folder, counts)
    counts.inputs = number - first
    counts.seconds = time.monotonic() - started
    return counts


def _child(
    target: Target[Any],
    seed: int,
    first: int,
    size: int,
    until: float,
    folder: Path,
    counts: Counts,
) -> int:
    """One child's share; the number of the next input to do."""
    board = mmap.mmap(-1, _BOARD.size)
    _BOARD.pack_into(board, 0, -1, time.monotonic())
    results = folder / "results.jsonl"
    results.unlink(missing_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        _in_child(target, seed, first, size, until, folder, board, results)
    hung, watch = False, _Watch(child)
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        at, began = _BOARD.unpack_from(board, 0)
        # the preparation gets a time of its own
        if watch.is_stuck(at, began, target.seconds if at >= 0 else 120):
            os.kill(child, signal.SIGKILL)
            hung = True
            _, status = os.waitpid(child, 0)
            break
        time.sleep(0.005)
    at = int(_BOARD.unpack_from(board, 0)[0])
    for line in results.read_text().splitlines() if results.exists() else []:
        entry = json.loads(line)
        if "counts" in entry:
            counts.outcomes.update(entry["counts"])
        else:
            counts.failures.append(entry)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0:
        return at + 1
    if at < 0:
        raise RuntimeError(f"{target.name} cannot be prepared (status {status})")
    what = "hang" if hung else f"crash ({_name(status)})"
    if size > 1:
        # once more in a process of its own: was it this input, or all those before it?
        alone = Counts()
        _child(target, seed, at, 1, until + target.seconds, folder, alone)
        if not alone.failures:
            what = what.replace("hang", "hang, not alone").replace("crash", "crash, not alone")
        elif alone.failures[0]["what"] != what:
            what += f"; alone: {alone.failures[0]['what']}"
    counts.outcomes[what.split(" (")[0].split(";")[0]] += 1
    counts.failures.append({"target": target.name, "seed": seed, "number": at, "what": what})
    return at + 1


class _Watch:
    """Tells an input that never ends from one that waits for a processor others have."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._number = -2
        self._used = 0.0

    def is_stuck(self, number: int, began: float, seconds: float) -> bool:
        """Whether the input has used its time, or waits for what does not come."""
        if number != self._number:
            self._number, self._used = number, self._look()[0]
        if time.monotonic() - began < seconds:
            return False
        used, running = self._look()
        return used - self._used >= seconds or not (running or self._look_again())

    def _look_again(self) -> bool:
        looks = []
        for _ in range(20):
            time.sleep(0.1)
            looks.append(self._look()[1])
        return any(looks)

    def _look(self) -> tuple[float, bool]:
        """Processor time used, and whether any thread runs or wants to."""
        used, running = 0.0, False
        for task in Path(f"/proc/{self._process}/task").glob("*/stat"):
            try:
                fields = task.read_text().rpartition(")")[2].split()
            except OSError:  # the thread has ended
                continue
            used += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            running = running or fields[0] in "RD"
        return used, running


def _name(status: int) -> str:
    if os.WIFSIGNALED(status):
        return signal.Signals(os.WTERMSIG(status)).name
    return f"exit {os.WEXITSTATUS(status)}"


def _in_child(
    target: Target[Any],
    seed: int,
    first: int,
    size: int,
    until: float,
    folder: Path,
    board: mmap.mmap,
    results: Path,
) -> None:
    code = 1
    try:
        with results.open("a", encoding="utf-8") as log:
            # the parsers' own chatter
            null = os.open(os.devnull, os.O_WRONLY)
            keep = os.dup(2)
            os.dup2(null, 2)
            try:
                target.begin(folder)
                if target.data_limit:
                    resource.setrlimit(resource.RLIMIT_DATA, (target.data_limit,) * 2)
                for number in range(first, first + size):
                    _BOARD.pack_into(board, 0, number, time.monotonic())
                    _one(target, seed, number, log)
                    if time.monotonic() > until:
                        break
                code = 0
            finally:
                os.dup2(keep, 2)
    except BaseException:  # noqa: BLE001 - a child never returns
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _one(target: Target[Any], seed: int, number: int, log: Any) -> None:
    value = target.make(source(target.name, seed, number))
    before = _memory("VmRSS")
    _forget_peak()
    entry = {"target": target.name, "seed": seed, "number": number}
    try:
        outcome = target.feed(value)
    except Exception as error:  # noqa: BLE001 - exactly what is looked for
        outcome = "broken promise" if isinstance(error, Broken) else "unclean error"
        frames = traceback.extract_tb(error.__traceback__)[-3:]
        where = [f"{Path(f.filename).name}:{f.lineno}" for f in frames]
        what = f"{type(error).__name__}: {error}"[:300]
        log.write(json.dumps({**entry, "what": what, "where": where}) + "\n")
    grown = _memory("VmHWM") - before
    counts = {outcome: 1, **target.tally}
    target.tally.clear()
    if grown > MUCH:
        counts["much memory"] = 1
        log.write(json.dumps({**entry, "what": f"{grown >> 20} MiB of memory"}) + "\n")
    log.write(json.dumps({"counts": counts}) + "\n")
    log.flush()


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) << 10
    return 0


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")
