"""LiteRT behind the engine Protocol: models, compiled models, tensor buffers."""

from __future__ import annotations

import ctypes
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import byref, c_char_p, c_int, c_void_p

from wasmlrun.engines.litert.capi import (
    ACCELERATORS_TAG,
    CPU,
    HOST_MEMORY,
    KEEP,
    RANKED,
    READ,
    SEVERITY_TAG,
    SILENT,
    WHOLE_NUMBER,
    WRITE,
    Layout,
    Library,
    Option,
    TensorType,
)
from wasmlrun.engines.memory import address_of
from wasmlrun.engines.protocol import About, EngineError, Port, Settings
from wasmlrun.engines.shared import SharedModel
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.process import native_output_muted, native_stderr_muted
from wasmlrun.support.tasks import processors
from wasmlrun.support.tensor import DType, Tensor

# LiteRtElementType
_TYPES = {
    1: DType.F32,
    2: DType.I32,
    3: DType.U8,
    4: DType.I64,
    6: DType.BOOL,
    9: DType.I8,
    10: DType.F16,
    11: DType.F64,
    19: DType.BF16,
}
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}
_SIGNATURE = 0


class LiteRt:
    """LiteRT. Loading its library happens at the first use."""

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
        """The package's version: the library does not tell its own."""
        from importlib.metadata import version

        self._environment()
        return version(self.about.distribution)

    def devices(self) -> Sequence[str]:
        """The processor. Accelerators in the package are not used: none was there to be tried."""
        return ["CPU"]

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> LiteRtGraph:
        """Read and compile a model. Raises EngineError."""
        lib, environment = self._environment()
        if source.encoding not in self.about.encodings:
            raise EngineError(f"LiteRT does not read {source.encoding.value} models")
        if device not in self.devices():
            raise EngineError(f"LiteRT has no device {device} here")
        underway()
        (data,) = source.parts
        with native_stderr_muted():
            model = _Model(lib, environment, data, self._threads())
            return LiteRtGraph(model)

    def _threads(self) -> int:
        threads = self._settings.threads
        return threads if threads is not None else max(1, processors() // self._settings.streams)

    def _environment(self) -> tuple[Library, c_void_p]:
        with self._lock:
            if self._loaded is None:
                # without them all accelerators are looked for, and each says what it misses
                options = (Option * 2)(
                    Option(ACCELERATORS_TAG, WHOLE_NUMBER, CPU),
                    Option(SEVERITY_TAG, WHOLE_NUMBER, SILENT),
                )
                # the library says, on stdout, that it finds no OpenCL
                with native_output_muted():
                    lib = Library()
                    self._loaded = lib, lib.make("CreateEnvironment", len(options), options)
            return self._loaded


class _Model(SharedModel[c_void_p]):
    """A model and what was compiled of it: one for each context, for they do not share."""

    def __init__(self, lib: Library, environment: c_void_p, data: bytes, threads: int) -> None:
        pointer = lib.make("CreateModelFromBuffer", environment, data, len(data))
        super().__init__(pointer, self._destroy)
        self.lib = lib
        self.environment = environment
        self._data = data  # read in place
        self._threads = threads
        # taken from and given back by threads: each of its operations is one step to them
        self._idle: list[c_void_p] = []
        try:
            self.inputs, self.input_places = self._ports("Input")
            self.outputs, self.output_places = self._ports("Output")
            self.give_back(self._compile())
        except EngineError:
            self.release()
            raise

    def take(self) -> c_void_p:
        """Something compiled that nobody uses. Raises EngineError."""
        self.share()
        with suppress(IndexError):
            return self._idle.pop()
        try:
            with native_stderr_muted():
                return self._compile()
        except EngineError:
            self.release()
            raise

    def give_back(self, compiled: c_void_p) -> None:
        """It is not used any more."""
        self._idle.append(compiled)

    def _destroy(self, model: c_void_p) -> None:
        while self._idle:
            self.lib.destroy("CompiledModel", self._idle.pop())
        self.lib.destroy("Model", model)

    def drop(self, compiled: c_void_p) -> None:
        """It was left in a state that no other use should find."""
        self.lib.destroy("CompiledModel", compiled)

    def _compile(self) -> c_void_p:
        lib = self.lib
        options = lib.make("CreateOptions")
        try:
            lib.call("SetOptionsHardwareAccelerators", options, CPU)
            # the options of one accelerator are a text in TOML, which lives as long as they do
            text = ctypes.create_string_buffer(f"num_threads = {self._threads}\n".encode())
            pointer = ctypes.cast(text, c_void_p)
            own = lib.make("CreateOpaqueOptions", b"xnnpack", pointer, KEEP)
            lib.call("AddOpaqueOptions", options, own)
            return lib.make("CreateCompiledModel", self.environment, self.pointer, options)
        finally:
            lib.destroy("Options", options)

    def _ports(self, side: str) -> tuple[list[Port], list[int]]:
        """The ports in the model's own order, and the place of each in the signature."""
        lib = self.lib
        signature = lib.make("GetModelSignature", self.pointer, _SIGNATURE)
        subgraph = lib.make("GetSignatureSubgraph", signature)
        named = [
            lib.make(f"GetSignature{side}TensorByIndex", signature, index).value
            for index in range(lib.count(f"GetNumSignature{side}s", signature))
        ]
        ports, places = [], []
        for index in range(lib.count(f"GetNumSubgraph{side}s", subgraph)):
            tensor = lib.make(f"GetSubgraph{side}", subgraph, index)
            if tensor.value not in named:
                raise EngineError(f"{side.lower()} {index} of the model is not in its signature")
            places.append(named.index(tensor.value))
            ports.append(_port(lib, tensor, f"{side.lower()} {index}"))
        return ports, places


class LiteRtGraph:
    """A model with one compiled form ready."""

    def __init__(self, model: _Model) -> None:
        self._model = model
        self._closed = False
        self.inputs = model.inputs
        self.outputs = model.outputs

    def open(self) -> LiteRtContext:
        """A context of its own. Raises EngineError."""
        if self._closed:
            raise EngineError("the graph was closed")
        return LiteRtContext(self._model, self._model.take())

    def close(self) -> None:
        """Free the model when no context uses it any more."""
        if not self._closed:
            self._closed = True
            self._model.release()


class LiteRtContext:
    """A compiled model and its buffers."""

    def __init__(self, model: _Model, compiled: c_void_p) -> None:
        self._model = model
        self._lib = model.lib
        self._compiled: c_void_p | None = compiled
        self._resized = False
        self._inputs: dict[int, c_void_p] = {}
        self._shapes: dict[int, tuple[int, ...]] = {}
        self._outputs: list[tuple[c_void_p, Port]] = []

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Copy a tensor into the buffer of input `index`. Raises EngineError."""
        if not 0 <= index < len(self._model.inputs):
            raise EngineError(f"the model has no input {index}")
        port = self._model.inputs[index]
        fits = len(tensor.shape) == len(port.shape) and all(
            p in (-1, n) for n, p in zip(tensor.shape, port.shape, strict=True)
        )
        if tensor.dtype is not port.dtype or not fits:
            raise EngineError(f"input {index} ({port.name}) cannot be {tensor}")
        place = self._model.input_places[index]
        if -1 in port.shape and self._shapes.get(index) != tensor.shape:
            self._resize(place, tensor.shape)
        if self._shapes.get(index) != tensor.shape:
            self._drop_input(index)
        if index not in self._inputs:
            self._inputs[index] = self._buffer(
                "Input", place, tensor.shape, tensor.dtype, len(tensor.data)
            )
            self._shapes[index] = tensor.shape
        lib, buffer = self._lib, self._inputs[index]
        pointer = lib.locked(buffer, WRITE)
        try:
            ctypes.memmove(pointer, address_of(tensor.data), len(tensor.data))
        finally:
            lib.call("UnlockTensorBuffer", buffer)

    def compute(self) -> None:
        """Run synchronously. Raises EngineError."""
        model, lib = self._model, self._lib
        if self._compiled is None:
            raise EngineError("the context was closed")
        if len(self._inputs) < len(model.inputs):
            raise EngineError("an input was never set")
        if not self._outputs:
            self._make_outputs()
        given = (c_void_p * len(model.inputs))()
        for index, place in enumerate(model.input_places):
            given[place] = self._inputs[index].value
        wanted = (c_void_p * len(model.outputs))()
        for (buffer, _), place in zip(self._outputs, model.output_places, strict=True):
            wanted[place] = buffer.value
        lib.call(
            "RunCompiledModel", self._compiled, _SIGNATURE, len(given), given, len(wanted), wanted
        )

    def output(self, index: int) -> Tensor:
        """A copy of output `index`. Raises EngineError."""
        if not 0 <= index < len(self._outputs):
            raise EngineError(f"there is no output {index}")
        buffer, port = self._outputs[index]
        size = math.prod(port.shape) * port.dtype.size
        pointer = self._lib.locked(buffer, READ)
        try:
            data = ctypes.string_at(pointer, size) if size else b""
        finally:
            self._lib.call("UnlockTensorBuffer", buffer)
        return Tensor(port.shape, port.dtype, data)

    def close(self) -> None:
        """Free the buffers; what was compiled may serve the next context."""
        if self._compiled is None:
            return
        for index in list(self._inputs):
            self._drop_input(index)
        self._drop_outputs()
        (self._model.drop if self._resized else self._model.give_back)(self._compiled)
        self._compiled = None
        self._model.release()

    def _resize(self, place: int, shape: tuple[int, ...]) -> None:
        assert self._compiled is not None
        dims = (c_int * len(shape))(*shape)
        self._resized = True
        self._lib.call(
            "CompiledModelResizeInputTensor", self._compiled, _SIGNATURE, place, dims, len(shape)
        )
        self._drop_outputs()

    def _make_outputs(self) -> None:
        model, lib = self._model, self._lib
        layouts = (Layout * len(model.outputs))()
        lib.call(
            "GetCompiledModelOutputTensorLayouts",
            self._compiled,
            _SIGNATURE,
            len(layouts),
            layouts,
            True,
        )
        for port, place in zip(model.outputs, model.output_places, strict=True):
            shape = layouts[place].shape
            if -1 in shape:
                raise EngineError(f"output {port.name} has no size before it is computed")
            size = math.prod(shape) * port.dtype.size
            buffer = self._buffer("Output", place, shape, port.dtype, size)
            self._outputs.append((buffer, Port(port.name, shape, port.dtype)))

    def _buffer(
        self, side: str, place: int, shape: tuple[int, ...], dtype: DType, size: int
    ) -> c_void_p:
        lib = self._lib
        wanted = lib.make(
            f"GetCompiledModel{side}BufferRequirements", self._compiled, _SIGNATURE, place
        )
        size = max(size, lib.count("GetTensorBufferRequirementsBufferSize", wanted), 1)
        kind = TensorType(_NUMBERS[dtype], Layout(len(shape)))
        kind.layout.dimensions[: len(shape)] = shape
        environment = self._model.environment
        return lib.make("CreateManagedTensorBuffer", environment, HOST_MEMORY, byref(kind), size)

    def _drop_input(self, index: int) -> None:
        if index in self._inputs:
            self._lib.destroy("TensorBuffer", self._inputs.pop(index))
            self._shapes.pop(index, None)

    def _drop_outputs(self) -> None:
        while self._outputs:
            self._lib.destroy("TensorBuffer", self._outputs.pop()[0])


def _port(lib: Library, tensor: c_void_p, what: str) -> Port:
    name = c_char_p()
    lib.call("GetTensorName", tensor, byref(name))
    kind = c_int()
    lib.call("GetTensorTypeId", tensor, byref(kind))
    if kind.value != RANKED:
        raise EngineError(f"{what} of the model has no fixed rank")
    about = TensorType()
    lib.call("GetRankedTensorType", tensor, byref(about))
    if about.element_type not in _TYPES:
        number = about.element_type
        raise EngineError(f"{what} of the model is of a type that is not supported ({number})")
    text = (name.value or b"").decode(errors="replace") or what.replace(" ", "")
    return Port(text, about.layout.shape, _TYPES[about.element_type])
