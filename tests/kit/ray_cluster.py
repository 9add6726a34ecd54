"""A real Ray cluster of three nodes on this machine, in a process of its own: Ray has threads,
and where they run nothing may be forked any more.

python ray_cluster.py     prints its address; each line of stdin is the number of a node to kill
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
TRIES = 3
"""A node whose agent has not started after 15 seconds gives up, which happens on busy machines."""
STORE = 100 << 20


def environment() -> dict[str, str]:
    """For the cluster and whoever joins it."""
    path = [str(HERE / "left_out"), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")]
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
        "RAY_USAGE_STATS_ENABLED": "0",
    }


class Cluster:
    """The nodes; the first has no processors, the two others one each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        assert process.stdout is not None
        self.address = process.stdout.readline().strip()

    def kill(self, node: int) -> None:
        """End a node as a power cut does; 0 and 1 are those that work."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{node}\n")
        self._process.stdin.flush()
        self._process.stdout.readline()


@contextmanager
def cluster(home: dict[str, str]) -> Iterator[Cluster]:
    """One that is running."""
    with subprocess.Popen(
        [sys.executable, "-P", str(HERE / "ray_cluster.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment() | home,
    ) as process:
        try:
            found = Cluster(process)
            assert found.address, "the cluster did not start"
            yield found
        finally:
            assert process.stdin is not None
            process.stdin.close()


def serve() -> None:
    """Be the cluster until stdin ends."""
    from ray.cluster_utils import Cluster as Nodes

    small = {"object_store_memory": STORE}
    head = {"num_cpus": 0, "include_dashboard": False}
    nodes = again(lambda: Nodes(initialize_head=True, head_node_args={**head, **small}))
    workers = [again(lambda: nodes.add_node(num_cpus=1, **small)) for _ in range(2)]
    nodes.wait_for_nodes()
    print(nodes.address, flush=True)
    for line in sys.stdin:
        nodes.remove_node(workers[int(line)], allow_graceful=False)
        print("killed", flush=True)
    nodes.shutdown()


def again(start: Callable[[], Any]) -> Any:
    """What starts, tried until it does."""
    for left in reversed(range(TRIES)):
        try:
            return start()
        except Exception:  # Ray has no kind of its own for this
            if not left:
                raise
    return None


if __name__ == "__main__":
    serve()
