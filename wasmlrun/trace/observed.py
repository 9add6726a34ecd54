"""A session that tells an observer what each call is about: arguments, tensors, handles.

Only runs that are traced have one; the others pay nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wasmlrun.engines.protocol import Engine
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import Tensor
from wasmlrun.wasi_nn.session import Observer, Session


class ObservedSession(Session):
    """As `Session`, and notes the facts of each call with its observer."""

    def __init__(self, observer: Observer, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.observer = observer
        self._within = False

    def load(self, parts: Sequence[bytes], encoding: Encoding | None, target: str) -> int:
        """The sizes of the parts, encoding, target."""
        asked = encoding.value if encoding is not None else "auto"
        self._note(parts=[len(part) for part in parts], encoding=asked, target=target)
        return super().load(parts, encoding, target)

    def load_by_name(self, name: str, target: str = "cpu") -> int:
        """The name."""
        self._note(name=name)
        return super().load_by_name(name, target)

    def init_execution_context(self, graph: int) -> int:
        """The graph and the new context."""
        self._note(graph=graph)
        context = super().init_execution_context(graph)
        self._note(context=context)
        return context

    def set_input(self, context: int, index: int | str, tensor: Tensor) -> None:
        """Context, input, tensor."""
        self._note(context=context, input=index, tensor=tensor)
        super().set_input(context, index, tensor)

    def compute(self, context: int) -> None:
        """The context."""
        self._note(context=context)
        super().compute(context)

    def output(self, context: int, index: int | str) -> Tensor:
        """Context, output, tensor."""
        self._note(context=context, output=index)
        tensor = super().output(context, index)
        self._note(tensor=tensor)
        return tensor

    def compute_named(
        self, context: int, inputs: Sequence[tuple[str, Tensor]]
    ) -> list[tuple[str, Tensor]]:
        """The context, all inputs, all outputs."""
        self._note(context=context, inputs=dict(inputs))
        self._within = True
        try:
            outputs = super().compute_named(context, inputs)
        finally:
            self._within = False
        self._note(outputs=dict(outputs))
        return outputs

    def drop_context(self, context: int) -> None:
        """The context."""
        self._note(context=context)
        super().drop_context(context)

    def drop_graph(self, graph: int) -> None:
        """The graph."""
        self._note(graph=graph)
        super().drop_graph(graph)

    def _load(self, source: ModelSource, target: str, what: str) -> int:
        self._note(model=source.encoding.value, size=source.size)
        graph = super()._load(source, target, what)
        self._note(graph=graph)
        return graph

    def _device_of(self, engine: Engine, target: str) -> str:
        device = super()._device_of(engine, target)
        self._note(engine=engine.about.name, device=device)
        return device

    def _note(self, **facts: object) -> None:
        # the parts of a whole computation are noted by it
        if self.observer is not None and not self._within:
            self.observer.note(**facts)
