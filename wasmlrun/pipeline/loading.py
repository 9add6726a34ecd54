"""The model of a command, loaded in a thread of its own: it takes longer than all the rest."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from wasmlrun.engines.protocol import EngineError, NoEngineError, OutOfMemoryError
from wasmlrun.pipeline.plan import Plan
from wasmlrun.supervisor.stages import Stage
from wasmlrun.support.errors import BadModel
from wasmlrun.support.limits import exceeded
from wasmlrun.support.tasks import Task
from wasmlrun.trace.spans import span
from wasmlrun.wasi_nn.errors import NnError
from wasmlrun.wasi_nn.session import check_allowed

if TYPE_CHECKING:
    from wasmlrun.engines.protocol import Graph
    from wasmlrun.host import Host


class Loading:
    """The graphs of a command; the planned model's is loaded from the first moment on."""

    def __init__(self, plan: Plan, host: Host) -> None:
        """Returns when the engine itself is at work."""
        self._plan = plan
        self._host = host
        self._underway = threading.Event()
        self._graph: Task[Graph | None] = Task(self._load)
        if host.board.careful:
            self._graph.wait()
        else:
            # what comes next is Python's work, and would only hold this up
            self._underway.wait()

    def graph(self) -> Graph | None:
        """The planned model, waited for; None when only the guest knows its model.

        Raises:
            BadModel: it cannot be read, or may not be used.
            LimitExceeded: it takes more memory than the process may have.
        """
        return self._graph.result()

    def _load(self) -> Graph | None:
        try:
            return self._loaded()
        finally:
            self._underway.set()

    def _loaded(self) -> Graph | None:
        plan, host = self._plan, self._host
        if plan.source is None:
            return None
        try:
            check_allowed(plan.source, plan.grant.allowed_models, str(plan.shown_model))
            with (
                span(host.trace, "model", model=plan.shown_model),
                host.board.doing(Stage.MODEL, plan.shown_model or "the model"),
            ):
                engines = host.graphs.engines
                engine = engines.choose(plan.source.encoding, plan.grant.allowed_backends)
                device = engines.device(engine, "cpu")
                return host.graphs.load(plan.source, engine, device, self._underway.set)
        except NnError as e:
            raise BadModel(e.message, "wasmlrun models lock MANIFEST writes the list anew") from e
        except NoEngineError as e:
            raise BadModel(f"model {plan.shown_model} cannot be used: {e}", e.hint) from e
        except OutOfMemoryError as e:
            what = f"model {plan.shown_model}: {e}"
            raise exceeded("process_memory", plan.limits.process_memory, what) from e
        except EngineError as e:
            raise BadModel(
                f"model {plan.shown_model} cannot be read as {plan.source.encoding.value}: {e}",
                "check the file: is it complete, and of the format its name says?",
            ) from e
