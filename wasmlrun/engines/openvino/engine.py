"""OpenVINO behind the engine Protocol: read, compile, infer."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from ctypes import byref, c_int, c_void_p
from pathlib import Path

from wasmlrun.engines.memory import address_of
from wasmlrun.engines.openvino.capi import (
    AvailableDevices,
    Library,
    PartialShape,
    Shape,
    Version,
    library_identity,
)
from wasmlrun.engines.protocol import About, EngineError, Port, Settings
from wasmlrun.support import cpu
from wasmlrun.support.cache import key_of
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.process import native_stderr_muted
from wasmlrun.support.tempfiles import model_file
from wasmlrun.support.tensor import DType, Tensor, byte_size

# ov_element_type_e
_TYPES = {
    1: DType.BOOL,
    2: DType.BF16,
    3: DType.F16,
    4: DType.F32,
    5: DType.F64,
    7: DType.I8,
    9: DType.I32,
    10: DType.I64,
    16: DType.U8,
}
_NUMBERS = {dtype: number for number, dtype in _TYPES.items()}

KIND = "models"
"""The cache's name for compiled models."""


class OpenVINO:
    """OpenVINO's runtime. Loading the library and its plugins happens at the first use."""

    def __init__(self, about: About, settings: Settings) -> None:
        """f32 gives equal results on every CPU (8-bit models: nearly equal, see RATIONALE.md)."""
        self.about = about
        self._settings = settings
        self._cache = settings.cache
        self._lock = threading.Lock()
        self._loaded: tuple[Library, c_void_p] | None = None

    def prepare(self) -> None:
        """Load the library and the plugin that runs models on the CPU, ahead of the first model.

        What goes wrong is told when a model is loaded.
        """
        with suppress(EngineError):
            lib, core = self._core()
            lib.take_string("ov_core_get_property", core, b"CPU", b"FULL_DEVICE_NAME")

    def version(self) -> str:
        """OpenVINO's own version and build."""
        lib, _ = self._core()
        version = Version()
        lib.call("ov_get_openvino_version", byref(version))
        try:
            return (version.build or b"").decode(errors="replace")
        finally:
            lib.free("ov_version_free", byref(version))

    def devices(self) -> Sequence[str]:
        """Devices that OpenVINO's plugins found."""
        lib, core = self._core()
        found = AvailableDevices()
        lib.call("ov_core_get_available_devices", core, byref(found))
        try:
            return [found.devices[i].decode() for i in range(found.size)]
        finally:
            lib.free("ov_available_devices_free", byref(found))

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> OpenVINOGraph:
        """Read and compile a model, or restore it from the cache. Raises EngineError.

        `underway` is called when only OpenVINO's own work is left.
        """
        lib, core = self._core()
        if source.encoding not in self.about.encodings:
            raise EngineError(f"OpenVINO does not read {source.encoding.value} models")
        # a compiled model is good for one engine, one processor, one way of computing
        key = key_of(
            "openvino-2",
            source.encoding.value,
            source.sha256,
            device,
            self._settings.precision,
            library_identity(),
            cpu.description(),
        )
        hit = self._cache.get(KIND, key)
        underway()
        if hit is not None:
            try:
                return self._restore(lib, core, hit.data, device)
            except EngineError:
                self._cache.drop(KIND, key)
        with native_stderr_muted():
            compiled = self._compile(lib, core, source, device)
        # not every device can export; then there is nothing to keep
        with suppress(EngineError):
            self._cache.put_file(
                KIND,
                key,
                f"{source.encoding.value} model of {source.size} bytes, {device}",
                lambda path: lib.call("ov_compiled_model_export_model", compiled, _path(path)),
            )
        return OpenVINOGraph(lib, compiled, source.parts)

    def _restore(self, lib: Library, core: c_void_p, blob: bytes, device: str) -> OpenVINOGraph:
        compiled = lib.make(
            "ov_core_import_model", core, ctypes.c_char_p(blob), len(blob), device.encode()
        )
        return OpenVINOGraph(lib, compiled, (blob,))

    def _compile(self, lib: Library, core: c_void_p, source: ModelSource, device: str) -> c_void_p:
        model = self._read(lib, core, source)
        try:
            return lib.make("ov_core_compile_model", core, model, device.encode(), 0)
        finally:
            lib.free("ov_model_free", model)

    def _core(self) -> tuple[Library, c_void_p]:
        with self._lock:
            if self._loaded is None:
                lib = Library()
                self._loaded = lib, lib.make("ov_core_create")
                self._configure(*self._loaded)
            return self._loaded

    def _configure(self, lib: Library, core: c_void_p) -> None:
        # on the core, not on one compilation: it has to hold for imported models as well
        properties = {"INFERENCE_PRECISION_HINT": self._settings.precision}
        # a process knows nothing of others that compute beside it, as a server's and a batch's
        # children do: each would hold fast to the first core, and the other cores stay idle
        properties["ENABLE_CPU_PINNING"] = "NO"
        if self._settings.precision == "f32" and cpu.byte_products_saturate():
            # 8-bit models are computed in f32 then; without code that is made for their many
            # small steps, which takes longer to make than it saves
            properties |= {"LP_TRANSFORMS_MODE": "NO", "SNIPPETS_MODE": "DISABLE"}
        streams, threads = self._settings.streams, self._settings.threads
        if streams > 1:
            properties["NUM_STREAMS"] = str(streams)
        if threads is not None:
            properties["INFERENCE_NUM_THREADS"] = str(threads * streams)
        for name, value in properties.items():
            lib.call(
                "ov_core_set_property",
                core,
                b"CPU",
                ctypes.c_char_p(name.encode()),
                ctypes.c_char_p(value.encode()),
            )

    def _read(self, lib: Library, core: c_void_p, source: ModelSource) -> c_void_p:
        if source.encoding is Encoding.OPENVINO:
            xml, weights = source.parts
            # OpenVINO decides by content who reads a buffer: what is no XML would be read as
            # ONNX, and from a buffer ONNX may name files in this process's own folder
            if not xml.removeprefix(b"\xef\xbb\xbf").startswith(b"<"):
                raise EngineError("the model is no OpenVINO IR: its XML does not start with <")
            tensor = _tensor_over(lib, weights) if weights else None
            try:
                return lib.make(
                    "ov_core_read_model_from_memory_buffer", core, xml, len(xml), tensor
                )
            finally:
                if tensor is not None:
                    lib.free("ov_tensor_free", tensor)
        # the TensorFlow front ends read files only; for ONNX it is the file's folder, where
        # nothing else lies, that confines the external data which a model may name
        with model_file(source) as path:
            try:
                return lib.make("ov_core_read_model", core, _path(path), None)
            except EngineError as e:
                # the private file's name means nothing to anybody
                said = str(e).replace(f'the model file "{path}"', "the file")
                raise type(e)(said.replace(f'"{path}"', "the file")) from e


class OpenVINOGraph:
    """A model that OpenVINO has compiled for a device."""

    def __init__(self, lib: Library, compiled: c_void_p, holds: Sequence[bytes]) -> None:
        """`holds` are bytes that OpenVINO reads in place: they live as long as the graph."""
        self._lib = lib
        self._compiled: c_void_p | None = compiled
        self._holds = holds
        self.inputs = self._ports("input")
        self.outputs = self._ports("output")

    def open(self) -> OpenVINOContext:
        """A new infer request. Raises EngineError."""
        if self._compiled is None:
            raise EngineError("the graph was closed")
        request = self._lib.make("ov_compiled_model_create_infer_request", self._compiled)
        return OpenVINOContext(self._lib, request)

    def close(self) -> None:
        """Free the compiled model; contexts that are still open stay usable."""
        if self._compiled is not None:
            self._lib.free("ov_compiled_model_free", self._compiled)
            self._compiled = None

    def _ports(self, side: str) -> list[Port]:
        assert self._compiled is not None
        ports = []
        for index in range(self._lib.count(f"ov_compiled_model_{side}s_size", self._compiled)):
            port = self._lib.make(f"ov_compiled_model_{side}_by_index", self._compiled, index)
            try:
                ports.append(_describe(self._lib, port, f"{side} {index}"))
            finally:
                self._lib.free("ov_output_const_port_free", port)
        return ports


class OpenVINOContext:
    """An infer request of a compiled model."""

    def __init__(self, lib: Library, request: c_void_p) -> None:
        self._lib = lib
        self._request: c_void_p | None = request
        # a tensor over host memory does not own it: keep the bytes as long as the request
        self._inputs: dict[int, object] = {}

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Give input `index` its tensor, without a copy. Raises EngineError."""
        holder = address_of(tensor.data)
        made = self._lib.with_shape(
            tensor.shape,
            lambda shape: self._lib.make(
                "ov_tensor_create_from_host_ptr", _NUMBERS[tensor.dtype], shape, holder
            ),
        )
        try:
            self._lib.call("ov_infer_request_set_input_tensor_by_index", self._request, index, made)
        finally:
            self._lib.free("ov_tensor_free", made)
        self._inputs[index] = (tensor.data, holder)

    def compute(self) -> None:
        """Run synchronously. Raises EngineError."""
        self._lib.call("ov_infer_request_infer", self._request)

    def output(self, index: int) -> Tensor:
        """A copy of output `index`. Raises EngineError."""
        lib = self._lib
        made = lib.make("ov_infer_request_get_output_tensor_by_index", self._request, index)
        try:
            shape = Shape()
            lib.call("ov_tensor_get_shape", made, byref(shape))
            try:
                dims = tuple(shape.dims[i] for i in range(shape.rank))
            finally:
                lib.call("ov_shape_free", byref(shape))
            dtype = _dtype(lib, "ov_tensor_get_element_type", made)
            size = lib.count("ov_tensor_get_byte_size", made)
            data = ctypes.string_at(lib.make("ov_tensor_data", made), size) if size else b""
            return Tensor(dims, dtype, data)
        finally:
            lib.free("ov_tensor_free", made)

    def close(self) -> None:
        """Free the infer request."""
        if self._request is not None:
            self._lib.free("ov_infer_request_free", self._request)
            self._request = None
            self._inputs.clear()


def _path(path: Path) -> bytes:
    return str(path).encode()


def _describe(lib: Library, port: c_void_p, what: str) -> Port:
    shape = PartialShape()
    lib.call("ov_port_get_partial_shape", port, byref(shape))
    try:
        rank = shape.rank
        if rank.min != rank.max:
            raise EngineError(f"{what} of the model has no fixed rank")
        bounds = [shape.dims[i] for i in range(rank.min)]
        dims = tuple(d.min if d.min == d.max else -1 for d in bounds)
    finally:
        lib.free("ov_partial_shape_free", byref(shape))
    try:
        name = lib.take_string("ov_port_get_any_name", port)
    except EngineError:  # a port need not have a name
        name = what.replace(" ", "")
    return Port(name, dims, _dtype(lib, "ov_port_get_element_type", port))


def _dtype(lib: Library, function: str, owner: c_void_p) -> DType:
    number = c_int()
    lib.call(function, owner, byref(number))
    if number.value not in _TYPES:
        raise EngineError(f"the model uses an element type that is not supported ({number.value})")
    return _TYPES[number.value]


def _tensor_over(lib: Library, data: bytes) -> c_void_p:
    size = byte_size((len(data),), DType.U8)
    return lib.with_shape(
        (size,),
        lambda shape: lib.make(
            "ov_tensor_create_from_host_ptr", _NUMBERS[DType.U8], shape, ctypes.c_char_p(data)
        ),
    )
