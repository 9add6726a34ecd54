"""WASI-NN's state and rules for one guest instance: graphs, contexts, checks.

Bindings (`core` for core modules, `component` for components) turn a guest's bytes into these
calls and their errors into the guest's own. No pointer reaches this file and no engine is named
in it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, cast

from wasmlrun.engines.protocol import (
    Context,
    EngineError,
    Graph,
    NoEngineError,
    OutOfMemoryError,
)
from wasmlrun.supervisor.stages import Stage
from wasmlrun.support.errors import BadModel
from wasmlrun.support.limits import Limits, exceeded
from wasmlrun.support.model_source import Encoding, ModelSource, source_of
from wasmlrun.support.tensor import Tensor, describe
from wasmlrun.wasi_nn.errors import Ended, Ending, NnErrno, NnError
from wasmlrun.wasi_nn.fitting import fitted, port_of
from wasmlrun.wasi_nn.graphs import GraphPool

if TYPE_CHECKING:
    from wasmlrun.engines.language import LanguageGraph
    from wasmlrun.trust.gate import Gate
    from wasmlrun.wasi_nn.conversation import Conversation


class Observer(Protocol):
    """Is told of the WASI-NN calls of one instance, `wasmlrun.trace.recorder` writes them down.

    Bindings say when a call begins and ends, the session what it is about.
    """

    def call(self, name: str) -> AbstractContextManager[None]:
        """The block is a call of this name; an error that leaves it is the call's."""

    def note(self, **facts: object) -> None:
        """An argument or a result of the call that runs."""


_PRELOAD = b"preload:"


class _OpenContext:
    def __init__(
        self,
        context: Context | Conversation,
        graph: Graph,
        *,
        numbered: bool,
        talk: Conversation | None,
    ) -> None:
        self.context = context
        self.talk = talk
        """The context, where it is a language model's."""
        self.graph = graph
        self.numbered = numbered
        self.given: dict[int, int] = {}
        """Bytes of each input that was given, by its number."""
        self.computed = False


class Session:
    """What one guest instance may do and has done with WASI-NN.

    Handles of graphs and contexts are counted together, so that one can never be taken for
    the other. `last_output` is the tensor that the guest fetched last, `failure` the last
    call that failed.
    """

    def __init__(
        self,
        pool: GraphPool,
        models: Mapping[str, ModelSource],
        *,
        nhwc_input: bool = False,
        interleaved: Callable[[Tensor], bool] | None = None,
        limits: Limits | None = None,
        allowed_models: Collection[str] | None = None,
        allowed_backends: Sequence[str] = (),
        gate: Gate | None = None,
        observer: Observer | None = None,
        keeping: bool = False,
    ) -> None:
        """`models` may be loaded by name. With `nhwc_input` the bytes of
        pictures are H×W×C although their dims say N,C,H,W, as hosts before mid-2024 had it;
        without, `interleaved` is asked whether those of one tensor are. With `allowed_models`,
        every file of a model must have one of these sha256; with `allowed_backends`, only these
        engines are used; with `gate`, models must be signed as it says. With `keeping` every output
        that was fetched stays in `outputs`, not only the last.
        """
        self._pool = pool
        self._models = models
        self._nhwc_input = nhwc_input
        self._interleaved = interleaved
        self._limits = limits or Limits()
        self._allowed_models = allowed_models
        self._allowed_backends = allowed_backends
        self._gate = gate
        self.observer = observer
        self._loaded: list[Graph] = []
        self._next_handle = 1
        self._graphs: dict[int, Graph] = {}
        self._numbered: set[int] = set()
        self._options: dict[int, bytes] = {}
        """What a graph's language model was told when it was loaded, by the graph's handle."""
        self._contexts: dict[int, _OpenContext] = {}
        self.say: Callable[[bytes], None] = lambda text: None
        """Writes to the guest's stdout, for language models that are to do so."""
        self.last_output: Tensor | None = None
        self.outputs: dict[int | str, Tensor] = {}
        """What the guest fetched, by the numbers or names that it used, if it is to be kept."""
        self._keeping = keeping
        self.inference_seconds = 0.0
        self.failure: NnError | None = None

    def load(self, parts: Sequence[bytes], encoding: Encoding | None, target: str) -> int:
        """Load a model given as bytes; encoding None is auto-detect. Returns its handle."""
        asked = encoding.value if encoding is not None else "auto"
        self._note(parts=[len(part) for part in parts], encoding=asked, target=target)
        if not parts or not all(parts[:1]):
            raise NnError(NnErrno.INVALID_ARGUMENT, "load: the model is empty", model=True)
        self.admit_model(sum(map(len, parts)))
        try:
            source = source_of(parts, encoding)
        except BadModel as e:
            raise NnError(NnErrno.INVALID_ENCODING, f"load: {e.message}", model=True) from e
        row, wanted = source.encoding.format, source.encoding.parts
        if not row.converses and len(parts) != wanted:
            raise NnError(
                NnErrno.INVALID_ARGUMENT,
                f"load: a model of encoding {row.name} has {wanted} part(s), {len(parts)} given",
            )
        if row.converses:
            return self._load_language(source, target)
        return self._load(source, target, "load")

    def _load_language(self, source: ModelSource, target: str) -> int:
        """A language model: its weights, or `preload:` and its name, and perhaps options."""
        parts = source.parts
        weights, options = parts[0], parts[1] if len(parts) > 1 else b""
        if not weights.startswith(_PRELOAD):
            return self._load(ModelSource(source.encoding, (weights,)), target, "load", options)
        name = weights.removeprefix(_PRELOAD).decode(errors="replace")
        found = self._models.get(name)
        if found is None:
            raise NnError(Ending.MODEL_NOT_FOUND, f"load: no model is named {name!r}")
        return self._load(found, target, "load", options)

    def load_by_name(self, name: str, target: str | None = None, options: bytes = b"") -> int:
        """Load a model that the host registered under a name. Returns its handle.

        `options` are a language model's, JSON; other models have none.
        """
        self._note(name=name)
        source = self._models.get(name)
        if source is None:
            known = ", ".join(sorted(self._models)) or "none"
            raise NnError(
                NnErrno.NOT_FOUND, f"load_by_name: no model is named {name!r} (known: {known})"
            )
        return self._load(source, target or source.target or "cpu", "load_by_name", options)

    def init_execution_context(self, graph: int) -> int:
        """Open a context of a loaded graph. Returns its handle."""
        self._note(graph=graph)
        loaded = self._graph(graph, "init_execution_context")
        if len(self._contexts) >= self._limits.contexts:
            raise exceeded("contexts", self._limits.contexts, "the guest opened one more")
        talk = None
        try:
            if hasattr(loaded, "converse"):
                talk = self._conversation(cast("LanguageGraph", loaded), graph)
            context = talk or loaded.open()
        except EngineError as e:
            raise self._failed("init_execution_context", e) from e
        handle = self._new_handle()
        self._contexts[handle] = _OpenContext(
            context, loaded, numbered=graph in self._numbered, talk=talk
        )
        self._note(context=handle)
        return handle

    def set_input(self, context: int, index: int | str, tensor: Tensor) -> None:
        """Give a context's input, by number or by the model's name for it, a tensor."""
        self._note(context=context, input=index, tensor=tensor)
        self._set_input(context, index, tensor)

    def _set_input(self, context: int, index: int | str, tensor: Tensor) -> None:
        opened = self._context(context, "set_input")
        number, port = port_of(opened.graph.inputs, index, "set_input", "input")
        self.admit_tensor(len(tensor.data), instead_of=opened.given.get(number, 0))
        try:
            if opened.talk is not None:
                opened.talk.set_input(number, bytes(tensor.data))
            else:
                given = fitted(tensor, port, self._is_interleaved)
                cast("Context", opened.context).set_input(number, given)
        except EngineError as e:
            raise self._failed("set_input", e) from e
        opened.given[number] = len(tensor.data)
        opened.computed = False

    def compute(self, context: int, *, single: bool = False) -> None:
        """Run the graph; every input must have been given. `single` is a language model's next
        token; any other graph runs as a whole.
        """
        self._note(context=context)
        self._compute(context, single=single)

    def _compute(self, context: int, *, single: bool = False) -> None:
        opened = self._context(context, "compute")
        talk = opened.talk
        for number, port in enumerate(opened.graph.inputs):
            if number not in opened.given and (talk is None or number in talk.needed):
                raise NnError(
                    NnErrno.INVALID_ARGUMENT,
                    f"compute: input {number} ({port.name}, {describe(port.shape, port.dtype)}) "
                    "was never set",
                )
        started = time.perf_counter()
        try:
            with self._pool.board.doing(Stage.INFERENCE, "an inference"):
                if talk is not None and single:
                    talk.compute_single()
                else:
                    opened.context.compute()
        except Ended as e:
            raise NnError(e.how, f"compute: {e.message}") from e
        except EngineError as e:
            raise self._failed("compute", e) from e
        finally:
            self.inference_seconds += time.perf_counter() - started
        opened.computed = True

    def output(self, context: int, index: int | str, *, single: bool = False) -> Tensor:
        """An output, by number or name, of the last computation. `single` is of a language model's
        last token; of any other graph it is the same.
        """
        self._note(context=context, output=index)
        tensor = self._output(context, index, single=single)
        self._note(tensor=tensor)
        return tensor

    def _output(self, context: int, index: int | str, *, single: bool = False) -> Tensor:
        opened = self._context(context, "get_output")
        talk = opened.talk
        # what is told of a prompt is known before anything was computed
        if not opened.computed and talk is None:
            raise NnError(NnErrno.RUNTIME_ERROR, "get_output: nothing was computed yet")
        number, _ = port_of(opened.graph.outputs, index, "get_output", "output")
        try:
            if talk is not None and single:
                tensor = talk.output_single(number)
            else:
                tensor = opened.context.output(number)
            self.admit_tensor(len(tensor.data))
            return tensor
        except EngineError as e:
            raise self._failed("get_output", e) from e

    def fetched(self, index: int | str, tensor: Tensor) -> None:
        """An output has reached the guest: it is the last."""
        self.last_output = tensor
        self.keep(index, tensor)

    def keep(self, index: int | str, tensor: Tensor) -> None:
        """An output is within the guest's reach; it is kept if somebody wants all of them."""
        if not self._keeping:
            return
        self.outputs[index] = tensor
        size = sum(len(one.data) for one in self.outputs.values())
        if size > self._limits.tensor_bytes:
            what = f"the outputs that the guest fetched have {size} bytes"
            raise exceeded("tensor_bytes", self._limits.tensor_bytes, what)

    def fini_single(self, context: int) -> None:
        """The end of a computation token by token."""
        self._note(context=context)
        opened = self._context(context, "fini_single")
        if opened.talk is not None:
            opened.talk.fini_single()

    def takes_bytes(self, context: int) -> bool:
        """Whether a context's inputs are bytes, whatever shape and type a guest says."""
        opened = self._contexts.get(context)
        return opened is not None and opened.talk is not None

    def compute_named(
        self, context: int, inputs: Sequence[tuple[str, Tensor]]
    ) -> list[tuple[str, Tensor]]:
        """Run the graph on these inputs alone, given by name; all outputs, in order."""
        self._note(context=context, inputs=dict(inputs))
        self._context(context, "compute").given.clear()
        for name, tensor in inputs:
            self._set_input(context, name, tensor)
        self._compute(context)
        names = self.output_names(context)
        outputs = [(name, self._output(context, number)) for number, name in enumerate(names)]
        self._note(outputs=dict(outputs))
        return outputs

    def output_names(self, context: int) -> list[str]:
        """The names of a context's outputs, in order.

        Those of an OpenVINO IR are numbers, as other hosts have it.
        """
        opened = self._context(context, "compute")
        outputs = opened.graph.outputs
        return [str(n) if opened.numbered else port.name for n, port in enumerate(outputs)]

    def drop_context(self, context: int) -> None:
        """Free a context and its tensors; and its graph, if that was forgotten before."""
        self._note(context=context)
        opened = self._context(context, "finalize_execution_context")
        self._contexts.pop(context).context.close()
        self._let_go(opened.graph)

    def drop_graph(self, graph: int) -> None:
        """Forget a graph; its contexts stay usable."""
        self._note(graph=graph)
        dropped = self._graph(graph, "unload")
        del self._graphs[graph]
        self._let_go(dropped)

    def _let_go(self, graph: Graph) -> None:
        """Give a graph back as often as no handle and no context needs it any more."""
        if any(opened.graph is graph for opened in self._contexts.values()):
            return
        held = sum(kept is graph for kept in self._graphs.values())
        for _ in range(sum(kept is graph for kept in self._loaded) - held):
            self._loaded.remove(graph)
            self._pool.release(graph)

    def admit_model(self, size: int) -> None:
        """Refuse a model of too many bytes. Raises LimitExceeded."""
        if size > self._limits.model_size:
            raise exceeded(
                "model_size", self._limits.model_size, f"the guest loads a model of {size} bytes"
            )

    def admit_tensor(self, size: int, *, instead_of: int = 0) -> None:
        """Refuse a tensor that is too much together with those alive. Raises LimitExceeded."""
        alive = sum(sum(opened.given.values()) for opened in self._contexts.values())
        if alive + size - instead_of > self._limits.tensor_bytes:
            raise exceeded(
                "tensor_bytes",
                self._limits.tensor_bytes,
                f"the guest holds tensors of {alive} bytes and sent one of {size}",
            )

    def close(self) -> None:
        """Free whatever the guest left open."""
        for opened in self._contexts.values():
            opened.context.close()
        self._contexts.clear()
        self._graphs.clear()
        while self._loaded:
            self._pool.release(self._loaded.pop())

    def _note(self, **facts: object) -> None:
        if self.observer is not None:
            self.observer.note(**facts)

    def _load(self, source: ModelSource, target: str, what: str, options: bytes = b"") -> int:
        if not source.parts:
            missing = ", ".join(map(str, source.files))
            raise NnError(Ending.MODEL_NOT_FOUND, f"{what}: model {missing} does not exist")
        self._note(model=source.encoding.value, size=source.size)
        if len(self._loaded) >= self._limits.graphs:
            raise exceeded("graphs", self._limits.graphs, "the guest loads one more")
        check_allowed(source, self._allowed_models, what)
        if self._gate is not None:
            try:
                self._gate.admit_model(source, f"{what}: the guest's model")
            except BadModel as e:
                raise NnError(NnErrno.INVALID_ARGUMENT, e.message, model=True) from e
        try:
            engine = self._pool.engines.choose(source.encoding, self._allowed_backends)
        except NoEngineError as e:
            message = f"{what}: {e} ({e.hint})"
            raise NnError(NnErrno.INVALID_ENCODING, message, model=True) from e
        device = self._pool.engines.device(engine, target)
        self._note(engine=engine.about.name, device=device)
        try:
            graph = self._pool.load(source, engine, device)
        except EngineError as e:
            model = f"the {source.encoding.value} model cannot be loaded on {device}"
            raise self._failed(f"{what}: {model}", e, model=True) from e
        self._loaded.append(graph)
        handle = self._new_handle()
        self._graphs[handle] = graph
        if source.encoding is Encoding.OPENVINO:
            self._numbered.add(handle)
        self._options[handle] = options
        self._note(graph=handle)
        return handle

    def _failed(self, what: str, error: EngineError, *, model: bool = False) -> NnError:
        """The guest's error for the engine's. Raises LimitExceeded when memory ran out."""
        if isinstance(error, OutOfMemoryError):
            raise exceeded("process_memory", self._limits.process_memory, f"{what}: {error}")
        return NnError(NnErrno.RUNTIME_ERROR, f"{what}: {error}", model=model)

    def _conversation(self, model: LanguageGraph, graph: int) -> Conversation:
        # only here: a picture's model needs nothing of it
        from wasmlrun.wasi_nn.conversation import Conversation

        language = model.converse(self._options.get(graph, b""))
        return Conversation(language, self._limits, lambda text: self.say(text))

    def _is_interleaved(self, tensor: Tensor) -> bool:
        return self._nhwc_input or (self._interleaved is not None and self._interleaved(tensor))

    def _new_handle(self) -> int:
        handle = self._next_handle
        self._next_handle += 1
        return handle

    def _graph(self, handle: int, what: str) -> Graph:
        graph = self._graphs.get(handle)
        if graph is None:
            raise NnError(NnErrno.INVALID_ARGUMENT, f"{what}: {handle} is no graph")
        return graph

    def _context(self, handle: int, what: str) -> _OpenContext:
        context = self._contexts.get(handle)
        if context is None:
            raise NnError(NnErrno.INVALID_ARGUMENT, f"{what}: {handle} is no execution context")
        return context


def check_allowed(source: ModelSource, allowed: Collection[str] | None, what: str) -> None:
    """Refuse a model with a file whose digest is not on the list. Raises NnError."""
    if allowed is None:
        return
    for digest in source.digests:
        if digest not in allowed:
            listed = ", ".join(f"sha256:{a}" for a in sorted(allowed)) or "none"
            raise NnError(
                NnErrno.INVALID_ARGUMENT,
                f"{what}: the model's sha256:{digest} is not on the list of allowed_models "
                f"({listed})",
                model=True,
            )
