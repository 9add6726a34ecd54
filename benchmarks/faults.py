"""A thousand faults while pictures are classified: no answer may be lost, double or wrong.

python benchmarks/faults.py [--faults 1000] [--seed 1] [--lanes 2] [--kinds child parent …]

child: SIGSEGV, SIGBUS, SIGKILL or SIGABRT for the process that works, at a random moment, now and
then for its successor too. parent: SIGKILL for the command. cache, temp, output, batch: a disk
that is full after a random number of pages (a tmpfs; without leave to mount one, files that may
not become larger). flip: one bit of the cache is another. cold: commands at once, fifty to an
empty cache. Each command runs for itself; what is counted after it is named in `WRONG`. Linux.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

SAMPLES = Path(__file__).parents[1] / "samples"
SIGNALS = (signal.SIGSEGV, signal.SIGBUS, signal.SIGKILL, signal.SIGABRT)
SHARES = {
    "child": 500,
    "parent": 200,
    "cache": 60,
    "temp": 40,
    "output": 40,
    "batch": 10,
    "flip": 100,
    "cold": 50,
}
WRONG = ("lost", "double", "wrong", "untold", "hung", "orphans", "files left")
"""Pictures without an answer, with two, with another one than without the fault; exit codes that
say nothing of a fault that was told, or that are of a bug; commands that did not end; processes and
files that stayed."""
PAGE = 4096
SECONDS = 300.0
"""Longer than any of these commands takes: time ends each after a minute of its own."""
_counted = Lock()


class Tried:
    """What one command answered, and how it ended."""

    def __init__(self, code: int, out: bytes, err: bytes, *, hung: bool = False) -> None:
        self.code = code
        self.out = out
        self.err = err
        self.hung = hung

    def rows(self) -> list[dict[str, Any]]:
        """The answers; half a line at the end is none."""
        whole = self.out[: self.out.rfind(b"\n") + 1]
        return [json.loads(line) for line in whole.splitlines()]


class Lane:
    """A place for commands, one after another: their cache, temporary files and output."""

    def __init__(self, place: Path, pictures: Sequence[str]) -> None:
        self.place = place
        self.cache, self.temp, self.out = (place / name for name in ("cache", "temp", "out"))
        for folder in (self.cache, self.temp, self.out):
            folder.mkdir(parents=True, mode=0o700)
        self.pictures = pictures
        self.env = {
            **os.environ,
            "WASMLRUN_CACHE_DIR": str(self.cache),
            "TMPDIR": str(self.temp),
            "XDG_CONFIG_HOME": str(place / "config"),
        }

    def start(self, *words: str, limit: Sequence[str] = (), stdout: int = subprocess.PIPE) -> Any:
        """A command that has begun."""
        command = [*limit, sys.executable, "-m", "wasmlrun", *words]
        return subprocess.Popen(command, env=self.env, stdout=stdout, stderr=subprocess.PIPE)

    def classify(self, *words: str, **how: Any) -> Tried:
        """A whole command, undisturbed but for what lies around it."""
        return ended(self.start("classify", *self.pictures, "--json", *words, **how))


def ended(process: Any) -> Tried:
    """Wait for a command; one that does not end is shown and killed."""
    hung = False
    try:
        out, err = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        hung = True
        for number in filter(None, (process.pid, child_of(process.pid))):
            with suppress(OSError):
                where = Path(f"/proc/{number}/wchan").read_text()
                print(f"hung: {number} in {where}", Path(f"/proc/{number}/status").read_text())
        process.kill()
        out, err = process.communicate()
    return Tried(process.returncode, out or b"", err, hung=hung)


def predictions(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Of each picture what was answered, without the times."""
    return {row["image"]: json.dumps(row["predictions"]) for row in rows if "predictions" in row}


class Faults:
    """The counts, and what is right."""

    def __init__(self, truth: dict[str, str]) -> None:
        self.truth = truth
        self.done: Counter[str] = Counter()
        self.wrong: Counter[str] = Counter()
        self.told: Counter[str] = Counter()

    def note(self, kind: str, what: str, number: int, *more: object) -> None:
        """Something that must not be, so many times."""
        if number:
            with _counted:
                self.wrong[what] += number
            print(f"{kind}: {what} {number}", *more, flush=True)

    def judge(self, kind: str, tried: Tried, pictures: Sequence[str], *, whole: bool) -> None:
        """Compare a command's answers; `whole` says that each picture must have the right one."""
        self.note(kind, "hung", int(tried.hung), tried.err[-400:])
        try:
            rows = tried.rows()
        except ValueError:
            self.note(kind, "wrong", 1, tried.out[-300:])
            return
        names = Counter(row.get("image") for row in rows)
        self.note(kind, "double", sum(n - 1 for n in names.values()), names)
        right = predictions(rows)
        for name, answer in right.items():
            self.note(kind, "wrong", int(self.truth.get(name) != answer), name, answer)
        errors = [row["error"]["code"] for row in rows if "error" in row]
        missing = set(pictures) - set(names)
        if whole:
            self.note(kind, "lost", len(set(pictures) - set(right)), tried.err[-400:], rows)
            self.note(kind, "untold", int(tried.code != 0), tried.code, tried.err[-400:])
        elif errors or tried.code:
            with _counted:
                self.told.update({f"{kind}: {code}": 1 for code in errors or [f"{tried.code}"]})
            said = b"error:" in tried.err and tried.code in (3, 4, 5, 74)
            self.note(kind, "untold", int(not said), tried.code, tried.err[-400:])
        else:
            self.note(kind, "lost", len(missing), tried.err[-400:])

    def look_around(self, kind: str, lane: Lane) -> None:
        """What a command left behind, once its processes had a moment to end."""
        until = time.monotonic() + 5
        while (left := lane_processes(lane)) and time.monotonic() < until:
            time.sleep(0.01)
        self.note(kind, "orphans", len(left), left)
        files = [*lane.temp.rglob("*"), *lane.out.rglob("*"), *lane.cache.rglob(".*")]
        self.note(kind, "files left", len(files), files)
        for path in files:
            with suppress(OSError):
                path.unlink()


def lane_processes(lane: Lane) -> list[int]:
    """Every process whose temporary files would lie in this lane."""
    mark = f"TMPDIR={lane.temp}\0".encode()
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if mark in (place / "environ").read_bytes():
                found.append(int(place.name))
    return found


def child_of(process: int) -> int | None:
    """The process that works for a command, while there is one."""
    with suppress(OSError, ValueError):
        listed = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for child in map(int, listed):
            state = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2][0]
            if state != "Z":
                return child
    return None


def child(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """The child is killed, and one time in five its successor too; how many kills there were."""
    process = lane.start("classify", *lane.pictures, "--json")
    wanted, kills, last = 1 + (chance.random() < 0.2), 0, None
    while kills < wanted and process.poll() is None:
        while process.poll() is None and ((now := child_of(process.pid)) is None or now == last):
            time.sleep(0.001)
        time.sleep(chance.uniform(0, seconds))
        now = child_of(process.pid)
        if now is not None and now != last:
            with suppress(ProcessLookupError):
                os.kill(now, chance.choice(SIGNALS))
                kills, last = kills + 1, now
    # one death costs nothing: what the child did is done again by another
    faults.judge("child", ended(process), lane.pictures, whole=kills < 2)
    faults.look_around("child", lane)
    return kills


def parent(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """The command is killed; the next one finds everything as it should be."""
    process = lane.start("classify", *lane.pictures, "--json")
    time.sleep(chance.uniform(0.02, seconds + 0.1))
    killed = process.poll() is None
    process.kill()
    tried = ended(process)
    rows = tried.rows()
    names = [row.get("image") for row in rows]
    faults.note("parent", "wrong", int(names != list(lane.pictures)[: len(names)]), names)
    for name, answer in predictions(rows).items():
        faults.note("parent", "wrong", int(faults.truth[name] != answer), name, answer)
    until = time.monotonic() + 5
    while (left := lane_processes(lane)) and time.monotonic() < until:
        time.sleep(0.01)
    faults.note("parent", "orphans", len(left), left)
    faults.judge("parent", lane.classify(), lane.pictures, whole=True)
    faults.look_around("parent", lane)
    return int(killed)


@contextmanager
def full(folder: Path, pages: int) -> Iterator[list[str]]:
    """A folder that has so many pages left; or words before a command, whose files are bounded."""
    size = f"size={max(1, pages) * PAGE},mode=700"
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        yield ["prlimit", f"--fsize={pages * PAGE}"]
        return
    try:
        if pages == 0:
            (folder / "filler").write_bytes(b"x" * PAGE)
        yield []
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def cache(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """No room for the cache: all is answered, without it."""
    with full(lane.cache, chance.randrange(600)) as limit:
        for _ in range(2):
            faults.judge("cache", lane.classify(limit=limit), lane.pictures, whole=True)
        faults.look_around("cache", lane)
    return 1


def temp(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """No room for temporary files, of which `--output` needs one."""
    to = lane.out / "answers.jsonl"
    with full(lane.temp, chance.randrange(3)) as limit:
        tried = lane.classify("-o", str(to), limit=limit)
        kept_whole_or_not("temp", lane, faults, to, tried)
        (lane.temp / "filler").unlink(missing_ok=True)
        faults.look_around("temp", lane)
    return 1


def output(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """No room for the answers: in a file of the command's own, or in one of the shell's."""
    with full(lane.out, chance.randrange(2)) as limit:
        to = lane.out / "answers.jsonl"
        if chance.random() < 0.5:
            tried = lane.classify("-o", str(to), limit=limit)
            kept_whole_or_not("output", lane, faults, to, tried)
        else:
            with to.open("wb") as stdout:
                tried = lane.classify(limit=limit, stdout=stdout.fileno())
            tried.out = to.read_bytes()
            to.unlink()
            faults.judge("output", tried, lane.pictures, whole=tried.code == 0)
        (lane.out / "filler").unlink(missing_ok=True)
        faults.look_around("output", lane)
    return 1


def kept_whole_or_not(kind: str, lane: Lane, faults: Faults, to: Path, tried: Tried) -> None:
    """`--output` is there with all answers, or is not there and the command says why."""
    if to.exists():
        tried.out = to.read_bytes()
        to.unlink()
    else:
        faults.note(kind, "lost", int(tried.code == 0), tried.err[-400:])
    faults.judge(kind, tried, lane.pictures, whole=tried.code == 0)


def batch(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """No room for a batch's rows; with room again it is gone on with."""
    to = lane.out / "rows.jsonl"
    words = ("batch", *lane.pictures, "-o", str(to), "--no-timings", "-q")
    with full(lane.out, chance.randrange(2)) as limit:
        tried = ended(lane.start(*words, limit=limit))
        if tried.code:
            said = b"error:" in tried.err and tried.code == 74
            faults.note("batch", "untold", int(not said), tried.code, tried.err[-400:])
            (lane.out / "filler").unlink(missing_ok=True)
            if not limit:
                more = ["mount", "-o", "remount,size=1m", lane.out]
                subprocess.run(more, check=True)
            tried = ended(lane.start(*words, "--resume"))
        tried.out = to.read_bytes() if to.exists() else b""
        faults.judge("batch", tried, lane.pictures, whole=True)
        to.unlink(missing_ok=True)
        (lane.out / "filler").unlink(missing_ok=True)
        faults.look_around("batch", lane)
    return 1


def flip(lane: Lane, chance: random.Random, faults: Faults, seconds: float) -> int:
    """One bit of one file of the cache, small files as often as large ones."""
    path = chance.choice(sorted(p for p in lane.cache.rglob("[!.]*") if p.is_file()))
    data = bytearray(path.read_bytes())
    bit = chance.randrange(len(data) * 8)
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    faults.judge("flip", lane.classify(), lane.pictures, whole=True)
    faults.look_around("flip", lane)
    return 1


def cold(lane: Lane, faults: Faults, count: int) -> int:
    """Commands at once to a cache that is not there."""
    subprocess.run(["rm", "-rf", lane.cache], check=True)
    started = [lane.start("classify", *lane.pictures, "--json") for _ in range(count)]
    with ThreadPoolExecutor(count) as threads:
        for tried in threads.map(ended, started):
            faults.judge("cold", tried, lane.pictures, whole=True)
    faults.look_around("cold", lane)
    faults.judge("cold", lane.classify(), lane.pictures, whole=True)
    return count


KINDS = {
    "child": child,
    "parent": parent,
    "cache": cache,
    "temp": temp,
    "output": output,
    "batch": batch,
    "flip": flip,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--kinds", nargs="*", choices=SHARES, default=list(SHARES))
    arguments = parser.parse_args()
    pictures = sorted(map(str, SAMPLES.glob("*.jpg")))
    if sys.platform != "linux":
        sys.exit("error: faults are injected on Linux only\nhint: use a container or WSL")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    with tempfile.TemporaryDirectory(prefix="wasmlrun-faults-") as scratch:
        lanes = [Lane(Path(scratch, f"lane{n}"), pictures) for n in range(arguments.lanes)]
        first = lanes[0].classify()
        faults = Faults(predictions(first.rows()))
        assert len(faults.truth) == len(pictures), first.err
        began = time.monotonic()
        for lane in lanes:  # warm
            lane.classify()
        seconds = (time.monotonic() - began) / len(lanes)
        run(lanes, arguments, faults, seconds)
        print(f"{faults.done.total()} faults in {time.monotonic() - began:.0f} s")
    print(dict(faults.done))
    print("told as errors:", dict(faults.told))
    print({what: faults.wrong[what] for what in WRONG})
    sys.exit(1 if faults.wrong.total() else 0)


def run(
    lanes: Sequence[Lane], arguments: argparse.Namespace, faults: Faults, seconds: float
) -> None:
    """Every kind, as many as its share, the lanes side by side."""
    for kind in arguments.kinds:
        count = max(1, SHARES[kind] * arguments.faults // sum(SHARES.values()))
        if kind == "cold":
            faults.done[kind] += cold(lanes[0], faults, count)
            continue
        act = partial(in_lane, kind, arguments.seed, faults, seconds, count)
        with ThreadPoolExecutor(len(lanes)) as threads:
            list(threads.map(act, lanes))


def in_lane(kind: str, seed: int, faults: Faults, seconds: float, count: int, lane: Lane) -> None:
    """Faults of one kind until there were enough; one that came too late is no fault."""
    chance = random.Random(f"{seed}/{kind}/{lane.place.name}")
    while faults.done[kind] < count:
        done = KINDS[kind](lane, chance, faults, seconds)
        with _counted:
            faults.done[kind] += done


if __name__ == "__main__":
    main()
