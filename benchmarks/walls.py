"""What the walls cost: a warm one-shot with and without them, in pairs.

python benchmarks/walls.py [-n 60]

Each pair is two whole processes one after the other, in an order by chance: `wasmlrun classify` as
it is, and the same whose walls are not even imported. A third process is like the first one: the
ratio of these two says what the machine's own noise is. Printed are medians, of wall clock and of
processor time, parent and child together. Linux, where there are walls.
"""

import argparse
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PICTURE = Path(__file__).parents[1] / "samples" / "airplane.jpg"
START = "from wasmlrun.__main__ import main; main()"
OPEN = f"""
import sys, types
for name in ("calls", "files"):
    sys.modules[f"wasmlrun.walls.{{name}}"] = types.ModuleType(name)
from wasmlrun.supervisor import blame
blame.stand = lambda fence: []
{START}
"""
CASES = {"with": START, "without": OPEN, "with, again": START}


def measured(code: str, env: dict[str, str]) -> tuple[float, float]:
    """Milliseconds by the clock and of the processors."""
    command = [sys.executable, "-c", code, "classify", str(PICTURE), "--json"]
    began = time.perf_counter()
    process = subprocess.Popen(
        command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    elapsed = (time.perf_counter() - began) * 1000
    if status:
        sys.exit("error: the command failed")
    return elapsed, (usage.ru_utime + usage.ru_stime) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=60)
    arguments = parser.parse_args()
    if sys.platform != "linux":
        sys.exit("error: there are walls on Linux only\nhint: use a container or WSL")
    print(f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} processors")
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in CASES}
    with tempfile.TemporaryDirectory(prefix="wasmlrun-walls-") as cache:
        env = {**os.environ, "WASMLRUN_CACHE_DIR": cache}
        for code in CASES.values():
            measured(code, env)
        for _ in range(arguments.n):
            for name in random.sample(sorted(CASES), len(CASES)):
                taken[name].append(measured(CASES[name], env))
    for number, clock in enumerate(("wall clock", "processors")):
        of = {name: [pair[number] for pair in pairs] for name, pairs in taken.items()}
        for name, times in of.items():
            print(f"{clock}, {name}: {statistics.median(times):.1f} ms")
        for name, other in (("with", "without"), ("with, again", "with")):
            ratios = [a / b for a, b in zip(of[name], of[other], strict=True)]
            print(
                f"{clock}, {name} / {other}: median of the pairs {statistics.median(ratios):.3f}, "
                f"of the medians {statistics.median(of[name]) / statistics.median(of[other]):.3f}"
            )


if __name__ == "__main__":
    main()
