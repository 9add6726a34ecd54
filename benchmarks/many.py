"""20,000 pictures with kills, and with a Ray node that dies: the rows of a batch left in peace.

python benchmarks/many.py --photos FOLDER --cifar FILE.tar.gz PLACE [-- OPTIONS OF batch…]

The pictures, made in PLACE, are half JPEG files of CIFAR-10 and half copies of photographs, one in
a thousand of them cut short. They are classified in peace; with kills of the batch and of its
children (as benchmarks/kills.py does it) until it is complete; and on a Ray cluster of three nodes,
of which one is killed in the middle. The three files must be equal, byte for byte.
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

from kills import killed

COUNT = 20_000
BROKEN = 1_000
"""One of so many is cut short."""
SECONDS_BETWEEN_KILLS = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--cifar", type=Path, required=True)
    parser.add_argument("place", type=Path)
    parser.add_argument("options", nargs="*")
    arguments = parser.parse_args()
    folder = arguments.place / "pictures"
    if not folder.exists():
        make(folder, arguments.photos, arguments.cifar)
    words = [str(folder), *arguments.options, "--no-timings", "-q"]
    batch = [sys.executable, "-m", "wasmlrun", "batch", *words]
    whole = arguments.place / "whole.jsonl"
    started = time.monotonic()
    code = subprocess.run([*batch, "-o", whole, "--overwrite"], check=False).returncode
    rows = whole.read_bytes()
    assert rows.count(b"\n") == COUNT, "rows are missing"
    told("in peace", started, rows)
    assert with_kills(batch, arguments.place / "killed.jsonl", code) == rows, "the rows differ"
    assert with_ray(batch, arguments.place / "ray.jsonl", code) == rows, "the rows differ"
    print("all equal")


def make(folder: Path, photos: Path, cifar: Path) -> None:
    """The pictures, in folders of a thousand."""
    half = COUNT // 2
    with tarfile.open(cifar) as archive:
        members = (member for member in archive if member.name.endswith(".jpg"))
        small = itertools.islice((archive.extractfile(m).read() for m in members), half)
        large = (path.read_bytes() for path in itertools.cycle(sorted(photos.glob("*.jpg"))))
        for number, data in enumerate(itertools.islice(itertools.chain(small, large), COUNT)):
            if number % BROKEN == BROKEN - 1:
                data = data[: len(data) // 3]
            place = folder / f"{number // 1000:02}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"{number:05}.jpg").write_bytes(data)
    assert sum(1 for _ in folder.rglob("*.*")) == COUNT


def told(what: str, started: float, rows: bytes) -> None:
    errors = rows.count(b'"error":')
    seconds = time.monotonic() - started
    print(f"{what}: {COUNT} pictures, {errors} errors, {seconds:.0f} s", flush=True)


def with_kills(batch: list[str], result: Path, code: int) -> bytes:
    result.unlink(missing_ok=True)
    chance, kills = random.Random(1), Counter[str]()
    started = time.monotonic()
    while not killed(batch, result, chance, 2 * SECONDS_BETWEEN_KILLS, kills, code):
        pass
    told(f"with kills {dict(kills)}", started, result.read_bytes())
    return result.read_bytes()


def with_ray(batch: list[str], result: Path, code: int) -> bytes:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    small = {"object_store_memory": 200 << 20}
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    workers = [nodes.add_node(num_cpus=1, **small) for _ in range(2)]
    nodes.wait_for_nodes()
    result.unlink(missing_ok=True)
    started = time.monotonic()
    words = [*batch, "-o", str(result), "--engine", "ray", "--address", nodes.address]
    with subprocess.Popen([*words, "--overwrite"]) as process:
        journal = result.with_name(result.name + ".parts") / "rows.jsonl"
        while process.poll() is None and not (journal.exists() and lines(journal) > COUNT // 3):
            time.sleep(0.2)
        assert process.poll() is None, "it ended before the kill"
        nodes.remove_node(workers[0], allow_graceful=False)
        print(f"a node killed after {lines(journal)} rows, {time.monotonic() - started:.0f} s")
    assert process.returncode == code
    nodes.shutdown()
    told("on Ray", started, result.read_bytes())
    return result.read_bytes()


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


if __name__ == "__main__":
    main()
