"""The children that an actor has: worker and model, loaded once, behind the walls of any batch."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from wasmlrun import __version__
from wasmlrun.api.settings import ApiSettings
from wasmlrun.batch.crew import Crew
from wasmlrun.batch.item import Item
from wasmlrun.batch.rows import Row
from wasmlrun.support.errors import BadFile, BadModel, WasmlrunError

Identity = Mapping[str, str | None]
"""What rows follow from: sha256 of worker, model and labels, and what is done with a picture."""


def with_version(identity: Identity) -> Identity:
    """Another version of wasmlrun may say something else."""
    return {**identity, "wasmlrun": __version__}


class Posted:
    """A crew on a machine of the cluster; it ends with its owner."""

    def __init__(
        self, settings: ApiSettings, *, processes: int, identity: Identity | None, timings: bool
    ) -> None:
        """With `identity`, worker, model and labels must be these here too.

        Raises:
            WasmlrunError: what is wrong with worker, model or labels on this machine.
        """
        folder = Path(settings["folder"])
        if not folder.is_dir():
            raise BadFile(
                f"the machine {platform.node()} has no folder {folder}",
                "begin in a folder that every machine has, as one on shared storage",
            )
        # a core each, whatever this machine has
        self._crew = Crew({**settings, "threads": 1}, processes, timings=timings)
        self._threads = ThreadPoolExecutor(2 * processes)
        try:
            if identity is not None:
                _compare(with_version(self._crew.identity()), identity)
            else:
                self._crew.identity()  # what is wrong is told now
        except WasmlrunError:
            self.close()
            raise

    def rows(self, items: Sequence[Item]) -> list[Row]:
        """A row for each. Raises Hopeless: no picture can be classified."""
        return list(self._threads.map(self._crew.row, items))

    def close(self) -> None:
        """End its children and threads."""
        self._crew.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def __del__(self) -> None:
        if hasattr(self, "_threads"):
            self.close()


def _compare(found: Identity, wanted: Identity) -> None:
    other = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
    if other:
        raise BadModel(
            f"the machine {platform.node()} has another worker or model: {', '.join(other)} differ",
            "put the same files on every machine, or on storage that all share",
        )
