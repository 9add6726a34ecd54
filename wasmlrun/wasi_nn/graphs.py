"""Loaded models, shared by the guest instances of one process."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine, Graph
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.model_source import Encoding, ModelSource

KEPT_GRAPHS = 4
"""Graphs that nobody uses at the moment and that the next image's guest may load again."""


class GraphPool:
    """Loaded graphs, shared by the instances of one command: equal bytes are compiled once."""

    def __init__(self, engines: EnginePool, board: Board) -> None:
        self.engines = engines
        """What loads them."""
        self.board = board
        """Where it is said what native code is at work on."""
        self._lock = threading.Lock()
        self._graphs: dict[tuple[str, str, Encoding, str], Graph] = {}
        self._users: dict[int, int] = {}

    def load(
        self,
        source: ModelSource,
        engine: Engine,
        device: str,
        underway: Callable[[], None] = lambda: None,
    ) -> Graph:
        """The graph of these bytes on this device, until it is released. Raises EngineError.

        `underway` is the engine's.
        """
        key = (engine.about.name, source.sha256, source.encoding, device)
        with self._lock:
            graph = self._graphs.pop(key, None)
            if graph is None:
                what = f"a {source.encoding.value} model of {source.size} bytes"
                with self.board.doing(Stage.MODEL, what):
                    graph = engine.load(source, device, underway)
            self._graphs[key] = graph  # last: the one used most recently
            self._users[id(graph)] = self._users.get(id(graph), 0) + 1
            return graph

    def release(self, graph: Graph) -> None:
        """One user less; graphs without any are freed but for the few used last."""
        with self._lock:
            self._users[id(graph)] -= 1
            unused = [k for k, g in self._graphs.items() if not self._users[id(g)]]
            for key in unused[:-KEPT_GRAPHS]:
                dropped = self._graphs.pop(key)
                del self._users[id(dropped)]
                dropped.close()

    def close(self) -> None:
        """Free every graph that was loaded."""
        with self._lock:
            for graph in self._graphs.values():
                graph.close()
            self._graphs.clear()
