"""ONNX Runtime behind the engine Protocol: sessions, tensors, runs."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import c_char_p, c_int64, c_void_p
from pathlib import Path

from wasmlrun.engines.memory import address_of
from wasmlrun.engines.onnx.capi import Library, library_identity
from wasmlrun.engines.protocol import About, EngineError, Port, Settings
from wasmlrun.engines.shared import SharedModel
from wasmlrun.support import cpu
from wasmlrun.support.cache import key_of
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.process import native_stderr_muted
from wasmlrun.support.tasks import processors
from wasmlrun.support.tempfiles import model_file
from wasmlrun.support.tensor import DType, Tensor

# ONNXTensorElementDataType
_TYPES = {
    1: DType.F32,
    2: DType.U8,
    3: DType.I8,
    6: DType.I32,
    7: DType.I64,
    9: DType.BOOL,
    10: DType.F16,
    11: DType.F64,
    16: DType.BF16,
}
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}

KIND = "models"
"""The cache's name for models in ONNX Runtime's own format."""

_FATAL = 4  # of its five levels of logging, the quietest
_NO_OPTIMIZATION, _ALL_OPTIMIZATIONS = 0, 99
_DEVICE_ALLOCATOR, _DEFAULT_MEMORY = 0, 0


class OnnxRuntime:
    """ONNX Runtime. Loading its library happens at the first use."""

    def __init__(self, about: About, settings: Settings) -> None:
        self.about = about
        self._settings = settings
        self._lock = threading.Lock()
        self._loaded: tuple[Library, c_void_p] | None = None

    def prepare(self) -> None:
        """Load the library and make its environment."""
        with suppress(EngineError, OSError):
            self._environment()

    def version(self) -> str:
        """ONNX Runtime's own version."""
        return self._environment()[0].version

    def devices(self) -> Sequence[str]:
        """The processor: the package holds code for nothing else."""
        return ["CPU"]

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> OnnxGraph:
        """Read and optimise a model, or restore it from the cache. Raises EngineError."""
        lib, environment = self._environment()
        if source.encoding not in self.about.encodings:
            raise EngineError(f"ONNX Runtime does not read {source.encoding.value} models")
        if device not in self.devices():
            raise EngineError(f"ONNX Runtime has no device {device} here")
        # what was optimised is good for one library and one processor
        key = key_of("onnx-1", source.sha256, library_identity(), cpu.description())
        cache = self._settings.cache
        hit = cache.get(KIND, key)
        underway()
        if hit is not None:
            try:
                return self._restore(lib, environment, hit.data)
            except EngineError:
                cache.drop(KIND, key)
        session: list[c_void_p] = []
        if cache.root is not None:
            # what is kept is written while the session is made; then it may be that nothing is
            with suppress(EngineError):
                cache.put_file(
                    KIND,
                    key,
                    f"onnx model of {source.size} bytes",
                    lambda path: session.append(self._read(lib, environment, source, path)),
                )
        made = session[0] if session else self._read(lib, environment, source, None)
        return OnnxGraph(lib, made, ())

    def _read(
        self, lib: Library, environment: c_void_p, source: ModelSource, keep: Path | None
    ) -> c_void_p:
        # from a file: it is the file's folder, where nothing else lies, that confines the
        # external data which a model may name
        with model_file(source) as path, _Options(lib, self._threads()) as options:
            if keep is not None:
                options.set("SetOptimizedModelFilePath", c_char_p(str(keep).encode()))
                options.entry("session.save_model_format", "ORT")
            try:
                with native_stderr_muted():
                    return lib.make("CreateSession", environment, str(path).encode(), options.it)
            except EngineError as e:
                # the private file's name, and its folders', mean nothing to anybody
                told = str(e).replace(str(path), "the file").replace(str(path.parent), "its folder")
                raise type(e)(told.replace(str(path.parent.parent), "…")) from e

    def _restore(self, lib: Library, environment: c_void_p, data: bytes) -> OnnxGraph:
        with _Options(lib, self._threads()) as options:
            options.set("SetSessionGraphOptimizationLevel", _NO_OPTIMIZATION)
            options.entry("session.load_model_format", "ORT")
            # no copy of the weights: the bytes live as long as the graph
            options.entry("session.use_ort_model_bytes_directly", "1")
            options.entry("session.use_ort_model_bytes_for_initializers", "1")
            session = lib.make("CreateSessionFromArray", environment, data, len(data), options.it)
            return OnnxGraph(lib, session, (data,))

    def _threads(self) -> int:
        threads = self._settings.threads
        return threads if threads is not None else max(1, processors() // self._settings.streams)

    def _environment(self) -> tuple[Library, c_void_p]:
        with self._lock:
            if self._loaded is None:
                lib = Library()
                self._loaded = lib, lib.make("CreateEnv", _FATAL, b"wasmlrun")
            return self._loaded


class _Options:
    """`OrtSessionOptions` for as long as the block runs."""

    def __init__(self, lib: Library, threads: int) -> None:
        self._lib = lib
        self._threads = threads

    def __enter__(self) -> _Options:
        self.it = self._lib.make("CreateSessionOptions")
        self.set("SetSessionLogSeverityLevel", _FATAL)
        self.set("SetSessionGraphOptimizationLevel", _ALL_OPTIMIZATIONS)
        self.set("SetIntraOpNumThreads", self._threads)
        self.set("SetInterOpNumThreads", 1)
        # threads that wait for work leave the processor to the guest and to other computations
        self.entry("session.intra_op.allow_spinning", "0")
        return self

    def __exit__(self, *_: object) -> None:
        self._lib.release("SessionOptions", self.it)

    def set(self, name: str, value: object) -> None:
        """Call a function that sets one option."""
        self._lib.call(name, self.it, value)

    def entry(self, key: str, value: str) -> None:
        """Set one of the options that have names."""
        self._lib.call("AddSessionConfigEntry", self.it, key.encode(), value.encode())


class _Session(SharedModel[c_void_p]):
    """A session, which contexts use too: they outlive their graph."""

    def __init__(self, lib: Library, pointer: c_void_p, holds: Sequence[bytes]) -> None:
        super().__init__(pointer, lambda session: lib.release("Session", session))
        self.lib = lib
        self._holds = holds


class OnnxGraph:
    """A session, and the ports that its model has."""

    def __init__(self, lib: Library, session: c_void_p, holds: Sequence[bytes]) -> None:
        """`holds` are bytes that ONNX Runtime reads in place: they live as long as the session."""
        self._session = _Session(lib, session, holds)
        self._closed = False
        try:
            self.inputs = _ports(lib, session, "Input")
            self.outputs = _ports(lib, session, "Output")
        except EngineError:
            self.close()
            raise

    def open(self) -> OnnxContext:
        """A set of inputs and outputs. Raises EngineError."""
        if self._closed:
            raise EngineError("the graph was closed")
        return OnnxContext(self._session, self.inputs, self.outputs)

    def close(self) -> None:
        """Free the session when no context uses it any more."""
        if not self._closed:
            self._closed = True
            self._session.release()


class OnnxContext:
    """The inputs and outputs of a run; runs of one session may overlap."""

    def __init__(self, session: _Session, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        session.share()
        self._session: _Session | None = session
        self._lib = session.lib
        self._memory = self._lib.make("CreateCpuMemoryInfo", _DEVICE_ALLOCATOR, _DEFAULT_MEMORY)
        self._names = [[p.name.encode() for p in ports] for ports in (inputs, outputs)]
        # a value over host memory does not own it: the bytes are kept with it
        self._inputs: dict[int, tuple[c_void_p, object]] = {}
        self._outputs: list[c_void_p] = []

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Give input `index` its tensor, without a copy. Raises EngineError."""
        if not 0 <= index < len(self._names[0]):
            raise EngineError(f"the model has no input {index}")
        holder = address_of(tensor.data)
        value = self._lib.make(
            "CreateTensorWithDataAsOrtValue",
            self._memory,
            ctypes.cast(holder, c_void_p),
            len(tensor.data),
            (c_int64 * len(tensor.shape))(*tensor.shape),
            len(tensor.shape),
            _NUMBERS[tensor.dtype],
        )
        self._drop_input(index)
        self._inputs[index] = (value, (tensor.data, holder))

    def compute(self) -> None:
        """Run synchronously. Raises EngineError."""
        if self._session is None:
            raise EngineError("the context was closed")
        self._drop_outputs()
        given = sorted(self._inputs)
        names, wanted = self._names
        outputs = (c_void_p * len(wanted))()
        self._lib.call(
            "Run",
            self._session.pointer,
            None,
            (c_char_p * len(given))(*(names[i] for i in given)),
            (c_void_p * len(given))(*(self._inputs[i][0].value for i in given)),
            len(given),
            (c_char_p * len(wanted))(*wanted),
            len(wanted),
            outputs,
        )
        self._outputs = [c_void_p(pointer) for pointer in outputs]

    def output(self, index: int) -> Tensor:
        """A copy of output `index`. Raises EngineError."""
        if not 0 <= index < len(self._outputs):
            raise EngineError(f"there is no output {index}")
        lib, value = self._lib, self._outputs[index]
        if not value or not lib.number("IsTensor", value):
            raise EngineError(f"output {index} is no tensor")
        about = lib.make("GetTensorTypeAndShape", value)
        try:
            shape, dtype = _shape(lib, about), _dtype(lib, about)
        finally:
            lib.release("TensorTypeAndShapeInfo", about)
        size = math.prod(shape) * dtype.size
        pointer = lib.make("GetTensorMutableData", value)
        return Tensor(shape, dtype, ctypes.string_at(pointer, size) if size else b"")

    def close(self) -> None:
        """Free inputs and outputs."""
        if self._session is not None:
            for index in list(self._inputs):
                self._drop_input(index)
            self._drop_outputs()
            self._session.release()
            self._session = None

    def _drop_input(self, index: int) -> None:
        if index in self._inputs:
            self._lib.release("Value", self._inputs.pop(index)[0])

    def _drop_outputs(self) -> None:
        while self._outputs:
            value = self._outputs.pop()
            if value:
                self._lib.release("Value", value)


def _ports(lib: Library, session: c_void_p, side: str) -> list[Port]:
    allocator = lib.make("GetAllocatorWithDefaultOptions")
    ports = []
    for index in range(lib.count(f"SessionGet{side}Count", session)):
        pointer = lib.make(f"SessionGet{side}Name", session, index, allocator)
        try:
            name = ctypes.string_at(pointer).decode(errors="replace")
        finally:
            lib.call("AllocatorFree", allocator, pointer)
        kind = lib.make(f"SessionGet{side}TypeInfo", session, index)
        try:
            about = lib.make("CastTypeInfoToTensorInfo", kind)
            if not about:
                raise EngineError(f"{side.lower()} {name} of the model is no tensor")
            ports.append(Port(name, _shape(lib, about), _dtype(lib, about)))
        finally:
            lib.release("TypeInfo", kind)
    return ports


def _shape(lib: Library, about: c_void_p) -> tuple[int, ...]:
    rank = lib.count("GetDimensionsCount", about)
    dims = (c_int64 * rank)()
    lib.call("GetDimensions", about, dims, rank)
    return tuple(max(n, -1) for n in dims)


def _dtype(lib: Library, about: c_void_p) -> DType:
    number = lib.number("GetTensorElementType", about)
    if number not in _TYPES:
        raise EngineError(f"the model uses an element type that is not supported ({number})")
    return _TYPES[number]
