"""Random kills of a batch and of its children: its rows must be those of an uninterrupted run.

python benchmarks/kills.py [--kills 1000] [--seed 1] [--form jsonl] FOLDER [-- OPTIONS OF batch…]

The batch runs over FOLDER once without a kill. Then it runs again and again: killed (SIGKILL,
SIGTERM, SIGINT) after a random time, or one of its children is, and gone on with by --resume.
When one is complete, its file is compared byte for byte, and the next begins, until there were
as many kills as were asked for.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

PARENT = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT)


# a shell ignores Ctrl-C in what it starts in the background, and so would every batch here
signal.signal(signal.SIGINT, signal.default_int_handler)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--form", default="jsonl")
    parser.add_argument("--place", type=Path, default=Path())
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    words = [*arguments.options, "--no-timings", "-q"]
    whole = arguments.place / f"whole.{arguments.form}"
    started = time.monotonic()
    batch = [sys.executable, "-m", "wasmlrun", "batch", arguments.folder, *words]
    code = subprocess.run([*batch, "-o", whole, "--overwrite"], check=False).returncode
    seconds = time.monotonic() - started
    kills: Counter[str] = Counter()
    runs = 0
    result = arguments.place / f"killed.{arguments.form}"
    while sum(kills.values()) < arguments.kills:
        result.unlink(missing_ok=True)
        while not killed(batch, result, chance, seconds, kills, code):
            pass
        assert result.read_bytes() == whole.read_bytes(), "the rows differ"
        assert not result.with_name(result.name + ".parts").exists()
        runs += 1
        print(f"{sum(kills.values())} kills, {runs} results, all equal", flush=True)
    print(f"{dict(kills)}; {runs} results, each {whole.stat().st_size} bytes, all equal")


def killed(
    batch: list[str],
    result: Path,
    chance: random.Random,
    seconds: float,
    kills: Counter[str],
    code: int,
) -> bool:
    """One try, which is killed or not; whether the result is complete."""
    words = [*batch, "-o", str(result), "--resume"]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    end = time.monotonic() + chance.uniform(0.05, seconds)
    try:
        while process.poll() is None:
            child_first = chance.random() < 0.7
            left = end - time.monotonic()
            pause = chance.uniform(0.0, 2.0) if child_first else max(0.0, left)
            try:
                process.wait(min(pause, max(0.0, left)))
                break
            except subprocess.TimeoutExpired:
                pass
            if time.monotonic() >= end:
                number = chance.choice(PARENT)
                process.send_signal(number)
                kills[number.name] += 1
                break
            if kill_a_child(process.pid, chance):
                kills["child"] += 1
        ended = process.wait()
    finally:
        if process.poll() is None:
            process.kill()
    expected = {code, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 130, 143}
    assert ended in expected, f"exit code {ended}"
    return ended == code and result.exists()


def kill_a_child(parent: int, chance: random.Random) -> bool:
    """SIGKILL to one of its children, if there is one."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z":
            found.append(int(stat.parent.name))
    if not found:
        return False
    try:
        os.kill(chance.choice(found), signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    main()
