"""The long fuzz: `python tests/fuzz/run.py --seconds 3600 --seed 1 --counts counts.json`.

Targets take turns. Counts are written after every turn and added to those that are in the
file already; a run with the same seed goes on where the last one ended. Inputs that crashed a
parser, hung, or met anything but a clean error are saved in a folder outside the checkout.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz import batch  # noqa: E402 - after the path is set
from fuzz.target import Target, source  # noqa: E402 - after the path is set
from fuzz.targets import all_targets  # noqa: E402 - after the path is set

TURN = 20.0


def main() -> int:
    """Exit 1 when a promise was broken; crashes and hangs of parsers alone are only counted."""
    arguments = _arguments()
    save = Path(arguments.save or tempfile.mkdtemp(prefix="wasmlrun-fuzz-"))
    chosen = [t for t in all_targets() if not arguments.targets or t.name in arguments.targets]
    until = time.monotonic() + arguments.seconds
    broken = 0
    with tempfile.TemporaryDirectory() as work:
        while time.monotonic() < until:
            for target in chosen:
                left = until - time.monotonic()
                if left <= 0:
                    break
                broken += _turn(target, arguments, min(TURN, left), save, Path(work))
    print(f"counts: {arguments.counts}; inputs that failed: {save}")
    return 1 if broken else 0


def _turn(
    target: Target[Any], arguments: argparse.Namespace, seconds: float, save: Path, work: Path
) -> int:
    everything = _read(arguments.counts)
    entry = everything["targets"].setdefault(
        target.name, {"inputs": 0, "seconds": 0.0, "outcomes": {}, "next": {}, "failures": []}
    )
    key = str(arguments.seed)
    first = entry["next"].get(key, 0)
    folder = work / target.name
    folder.mkdir(exist_ok=True)
    counts = batch.run(target, arguments.seed, first, seconds, 1 << 62, folder)
    entry["next"][key] = first + counts.inputs
    entry["inputs"] += counts.inputs
    entry["seconds"] = round(entry["seconds"] + counts.seconds, 1)
    for outcome, number in counts.outcomes.items():
        entry["outcomes"][outcome] = entry["outcomes"].get(outcome, 0) + number
    for failure in counts.failures:
        value = target.make(source(target.name, failure["seed"], failure["number"]))
        place = save / f"{target.name}-{failure['seed']}-{failure['number']}"
        place.mkdir(parents=True, exist_ok=True)
        for name, data in target.files(value).items():
            (place / name).write_bytes(data)
        print(f"{target.name} {failure['number']}: {failure['what']}", flush=True)
    entry["failures"] = [*entry["failures"], *counts.failures][:200]
    arguments.counts.parent.mkdir(parents=True, exist_ok=True)
    arguments.counts.write_text(json.dumps(everything, indent=1) + "\n")
    return sum(not f["what"].startswith(("crash", "hang")) for f in counts.failures)


def _read(path: Path) -> dict[str, Any]:
    if path.exists():
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return {"schema": 1, "targets": {}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--counts", type=Path, default=Path("fuzz-counts.json"))
    parser.add_argument("--save", help="folder for inputs that failed")
    parser.add_argument("--targets", nargs="*", help="only these")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
