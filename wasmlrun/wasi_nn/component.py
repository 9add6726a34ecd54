"""WASI-NN for components: `wasi:nn`, over the same Session as `wasmlrun.wasi_nn.core`.

What is defined here is the host's side of `adapter.wat`: functions of numbers and strings.
The adapter turns them into the interfaces and resources of wasi:nn; since a component's types
are checked before it runs, wrong handles, pointers and enumerations cannot arrive. Everything
that can be wrong with a model or a tensor is the Session's to say.

Byte lists are strings of hexadecimal digits.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from wasmtime.component import Linker, ResourceType

from wasmlrun.support.limits import exceeded
from wasmlrun.support.model_source import Encoding
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn.adapter import HOST, interface_name
from wasmlrun.wasi_nn.core import check_rank
from wasmlrun.wasi_nn.errors import Ending, NnErrno, NnError
from wasmlrun.wasi_nn.session import Session

T = TypeVar("T")

PIECE = 1 << 16
"""Bytes in each string but the last of a byte list; `adapter.wat` has the same number."""

# in the order of wasi:nn's enumerations
_TYPES = (DType.F16, DType.F32, DType.F64, DType.BF16, DType.U8, DType.I32, DType.I64)
_AUTODETECT = 6
_ENCODINGS = {encoding.format.number: encoding for encoding in Encoding}
_TARGETS = ("cpu", "gpu", "tpu")
_CODES: dict[NnErrno | Ending, int] = {
    NnErrno.INVALID_ARGUMENT: 0,
    NnErrno.INVALID_ENCODING: 1,
    NnErrno.MISSING_MEMORY: 0,
    NnErrno.BUSY: 3,
    NnErrno.RUNTIME_ERROR: 3,
    NnErrno.UNSUPPORTED_OPERATION: 4,
    NnErrno.TOO_LARGE: 5,
    NnErrno.NOT_FOUND: 6,
    Ending.END_OF_SEQUENCE: 3,
    Ending.CONTEXT_FULL: 5,
    Ending.PROMPT_TOO_LONG: 5,
    Ending.MODEL_NOT_FOUND: 6,
}


class ComponentBinding:
    """The host functions of one linker; they serve one instance at a time."""

    def __init__(self, refusal: Exception | None = None) -> None:
        """`refusal` is raised by every call."""
        self._refusal = refusal
        self._instance: NnInstance | None = None

    def define(self, linker: Linker, imports: Iterable[str]) -> None:
        """Define what the adapter imports; and `imports`, interfaces of wasi:nn that a composed
        component still declares, with functions that nobody calls.
        """
        with linker.root() as root:
            with root.add_instance(HOST) as host:
                for name, function in _FUNCTIONS.items():
                    host.add_func(name, partial(self._call, function))
            for interface in imports:
                with root.add_instance(interface) as unused:
                    resources, functions = _INTERFACES[interface_name(interface)]
                    for number, name in enumerate(resources):
                        unused.add_resource(name, ResourceType.host(number), _never)
                    for name in functions:
                        unused.add_func(name, _never)

    @contextmanager
    def serving(self, session: Session | None, tensor_bytes: int) -> Iterator[None]:
        """While the block runs, calls are those of one instance with this session, which may
        keep so much in tensors outside its own memory.
        """
        self._instance = NnInstance(session, tensor_bytes) if session is not None else None
        try:
            yield
        finally:
            self._instance = None

    def _call(self, function: Callable[..., object], _store: object, *arguments: object) -> object:
        if self._refusal is not None:
            raise self._refusal
        assert self._instance is not None, "a guest ran without a session"
        return function(self._instance, *arguments)


class NnInstance:
    """Tensors and errors of one guest instance; graphs and contexts are the Session's.

    Methods that answer with a handle give -E for an error, whose handle is E.
    """

    def __init__(self, session: Session, tensor_bytes: int) -> None:
        self._session = session
        self._free = self._limit = tensor_bytes
        self._next_handle = 1
        self._tensors: dict[int, Tensor] = {}
        self._fetched: set[int] = set()
        self._errors: dict[int, tuple[int, str]] = {}
        self._pieces: list[bytes] = []
        self._parts: list[bytes] = []
        self._given: list[tuple[str, Tensor]] = []
        self._answers: list[tuple[str, Tensor]] = []

    def bytes_(self, piece: str, last: bool) -> None:
        """A piece of the next byte list."""
        self._pieces.append(binascii.unhexlify(piece))
        if last:
            self._parts.append(b"".join(self._pieces))
            self._pieces = []

    def tensor_new(self, type_: int) -> int:
        """A tensor of the two byte lists that were sent: dimensions and data."""
        dims, data = self._taken()
        shape = struct.unpack(f"<{len(dims) // 4}I", dims)
        return self._keep(Tensor(shape, _TYPES[type_], data))

    def tensor_type(self, tensor: int) -> int:
        """The number of its element type; types that wasi:nn lacks are bytes, U8."""
        dtype = self._tensors[tensor].dtype
        return _TYPES.index(dtype if dtype in _TYPES else DType.U8)

    def tensor_size(self, tensor: int, field: int) -> int:
        """How many bytes its dimensions (0) or its data (1) take."""
        return len(self._field(tensor, field))

    def tensor_bytes(self, tensor: int, field: int, piece: int) -> str:
        """A piece of its dimensions or of its data."""
        return self._field(tensor, field)[piece * PIECE : (piece + 1) * PIECE].hex()

    def tensor_drop(self, tensor: int) -> None:
        """Free a tensor that the guest let go."""
        self._free += len(self._tensors.pop(tensor).data)
        self._fetched.discard(tensor)

    def load(self, encoding: int, target: int) -> int:
        """Load the model whose parts were sent."""
        parts = self._taken()
        named = None if encoding == _AUTODETECT else _ENCODINGS[encoding]
        return self._answer("load", lambda: self._session.load(parts, named, _TARGETS[target]))

    def load_by_name(self, name: str) -> int:
        """Load a model that the host registered."""
        return self._answer("load-by-name", lambda: self._session.load_by_name(name))

    def graph_drop(self, graph: int) -> None:
        """Forget a graph that the guest let go."""
        self._observed("graph drop", lambda: self._session.drop_graph(graph))

    def open(self, graph: int) -> int:
        """Open an execution context of a graph."""
        return self._answer(
            "init-execution-context", lambda: self._session.init_execution_context(graph)
        )

    def context_drop(self, context: int) -> None:
        """Free a context that the guest let go."""
        self._observed("context drop", lambda: self._session.drop_context(context))

    def set_input(self, context: int, name: str, tensor: int) -> int:
        """Set one input of a context to a tensor."""

        def call() -> int:
            self._session.set_input(context, name, _checked(self._tensors[tensor]))
            return 0

        return self._answer("set-input", call)

    def compute(self, context: int) -> int:
        """Compute with the inputs that were set."""

        def call() -> int:
            self._session.compute(context)
            return 0

        return self._answer("compute", call)

    def get_output(self, context: int, name: str) -> int:
        """Fetch one output of a context as a tensor."""

        def call() -> int:
            tensor = self._session.output(context, name)
            self._session.fetched(name, tensor)
            return self._fetched_tensor(tensor)

        return self._answer("get-output", call)

    def give(self, name: str, tensor: int) -> None:
        """An input of the computation that follows."""
        self._given.append((name, self._tensors[tensor]))

    def compute_given(self, context: int) -> int:
        """Compute with the inputs that were given; answers with the number of outputs."""
        given, self._given = self._given, []

        def call() -> int:
            inputs = [(name, _checked(tensor)) for name, tensor in given]
            self._answers = self._session.compute_named(context, inputs)
            return len(self._answers)

        return self._answer("compute", call)

    def answer_name(self, index: int) -> str:
        """The name of an output of that computation."""
        return self._answers[index][0]

    def answer_tensor(self, index: int) -> int:
        """An output of that computation."""
        name, tensor = self._answers[index]
        # of several outputs the first is the answer until the guest reads another
        if index == 0:
            self._session.fetched(name, tensor)
        else:
            self._session.keep(name, tensor)
        return self._fetched_tensor(tensor)

    def error_new(self, code: int, text: str) -> int:
        """An error that the guest makes itself."""
        self._take(len(text))
        return self._keep_error(code, text)

    def error_code(self, error: int) -> int:
        """The number of its kind."""
        return self._errors[error][0]

    def error_text(self, error: int) -> str:
        """The sentence that says what is wrong."""
        return self._errors[error][1]

    def error_drop(self, error: int) -> None:
        """Free an error that the guest let go."""
        self._free += len(self._errors.pop(error)[1])

    def _observed(self, name: str, call: Callable[[], T]) -> T:
        observer = self._session.observer
        if observer is None:
            return call()
        with observer.call(name):
            return call()

    def _answer(self, name: str, call: Callable[[], int]) -> int:
        try:
            return self._observed(name, call)
        except NnError as error:
            self._session.failure = error
            # a name that some engine gives may not be a string of the component model
            text = error.message.encode("utf-8", "replace").decode()
            self._take(len(text))
            return -self._keep_error(_CODES[error.errno], text)

    def _field(self, tensor: int, field: int) -> memoryview:
        kept = self._tensors[tensor]
        if field == 0:
            return memoryview(struct.pack(f"<{len(kept.shape)}I", *kept.shape))
        if tensor in self._fetched:
            self._session.last_output = kept
        return memoryview(kept.data)

    def _taken(self) -> list[bytes]:
        parts, self._parts = self._parts, []
        return parts

    def _fetched_tensor(self, tensor: Tensor) -> int:
        handle = self._keep(tensor)
        self._fetched.add(handle)
        return handle

    def _keep(self, tensor: Tensor) -> int:
        self._take(len(tensor.data))
        handle = self._new_handle()
        self._tensors[handle] = tensor
        return handle

    def _keep_error(self, code: int, text: str) -> int:
        handle = self._new_handle()
        self._errors[handle] = (code, text)
        return handle

    def _new_handle(self) -> int:
        handle = self._next_handle
        self._next_handle += 1
        return handle

    def _take(self, size: int) -> None:
        self._free -= size
        if self._free < 0:
            raise exceeded("tensor_bytes", self._limit, "the guest keeps more in tensors at once")


_FUNCTIONS: dict[str, Callable[..., object]] = {
    "bytes": NnInstance.bytes_,
    "tensor-new": NnInstance.tensor_new,
    "tensor-type": NnInstance.tensor_type,
    "tensor-size": NnInstance.tensor_size,
    "tensor-bytes": NnInstance.tensor_bytes,
    "tensor-drop": NnInstance.tensor_drop,
    "load": NnInstance.load,
    "load-by-name": NnInstance.load_by_name,
    "graph-drop": NnInstance.graph_drop,
    "open": NnInstance.open,
    "set-input": NnInstance.set_input,
    "compute": NnInstance.compute,
    "get-output": NnInstance.get_output,
    "give": NnInstance.give,
    "compute-given": NnInstance.compute_given,
    "answer-name": NnInstance.answer_name,
    "answer-tensor": NnInstance.answer_tensor,
    "context-drop": NnInstance.context_drop,
    "error-new": NnInstance.error_new,
    "error-code": NnInstance.error_code,
    "error-text": NnInstance.error_text,
    "error-drop": NnInstance.error_drop,
}


# resources and functions of wasi:nn, in all versions
_INTERFACES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "errors": (("error",), ("[constructor]error", "[method]error.code", "[method]error.data")),
    "tensor": (
        ("tensor",),
        (
            "[constructor]tensor",
            "[method]tensor.dimensions",
            "[method]tensor.ty",
            "[method]tensor.data",
        ),
    ),
    "graph": (("graph",), ("[method]graph.init-execution-context", "load", "load-by-name")),
    "inference": (
        ("graph-execution-context",),
        tuple(
            f"[method]graph-execution-context.{name}"
            for name in ("set-input", "compute", "get-output")
        ),
    ),
}


def _never(*_: object) -> None:
    raise AssertionError("the adapter was passed by")


def _checked(tensor: Tensor) -> Tensor:
    check_rank(len(tensor.shape))
    return tensor
