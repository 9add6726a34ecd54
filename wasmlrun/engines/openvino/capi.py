"""OpenVINO's public C API through ctypes: declarations, status checks, and nothing else.

The shared library travels inside the `openvino` wheel. It is loaded without importing the
`openvino` package, whose import costs more than an inference does. Header files:
`openvino/include/openvino/c/` in the same wheel.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Sequence
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from wasmlrun.engines import wheel
from wasmlrun.engines.protocol import EngineError, OutOfMemoryError
from wasmlrun.support.native import loaded


class Shape(ctypes.Structure):
    """`ov_shape_t`: rank and dimensions."""

    _fields_ = [("rank", c_int64), ("dims", POINTER(c_int64))]


class Dimension(ctypes.Structure):
    """`ov_dimension_t`: inclusive bounds; equal bounds are a fixed size."""

    _fields_ = [("min", c_int64), ("max", c_int64)]


class PartialShape(ctypes.Structure):
    """`ov_partial_shape_t`: `rank` is a dimension too, free when its bounds differ."""

    _fields_ = [("rank", Dimension), ("dims", POINTER(Dimension))]


class AvailableDevices(ctypes.Structure):
    """`ov_available_devices_t`: names of devices."""

    _fields_ = [("devices", POINTER(c_char_p)), ("size", c_size_t)]


class Version(ctypes.Structure):
    """`ov_version_t`: a build number and a description."""

    _fields_ = [("build", c_char_p), ("description", c_char_p)]


_OUT = POINTER(c_void_p)

# name -> argument types; every one of these returns a status
_CHECKED: dict[str, list[Any]] = {
    "ov_get_openvino_version": [POINTER(Version)],
    "ov_core_create": [_OUT],
    "ov_core_read_model": [c_void_p, c_char_p, c_char_p, _OUT],
    "ov_core_read_model_from_memory_buffer": [c_void_p, c_char_p, c_size_t, c_void_p, _OUT],
    # variadic: the property names and values that follow are passed as char pointers
    "ov_core_compile_model": [c_void_p, c_void_p, c_char_p, c_size_t, _OUT],
    "ov_core_import_model": [c_void_p, c_void_p, c_size_t, c_char_p, _OUT],
    "ov_core_set_property": [c_void_p, c_char_p],
    "ov_core_get_property": [c_void_p, c_char_p, c_char_p, _OUT],
    "ov_core_get_available_devices": [c_void_p, POINTER(AvailableDevices)],
    "ov_compiled_model_export_model": [c_void_p, c_char_p],
    "ov_compiled_model_inputs_size": [c_void_p, POINTER(c_size_t)],
    "ov_compiled_model_outputs_size": [c_void_p, POINTER(c_size_t)],
    "ov_compiled_model_input_by_index": [c_void_p, c_size_t, _OUT],
    "ov_compiled_model_output_by_index": [c_void_p, c_size_t, _OUT],
    "ov_compiled_model_create_infer_request": [c_void_p, _OUT],
    "ov_port_get_any_name": [c_void_p, _OUT],
    "ov_port_get_element_type": [c_void_p, POINTER(c_int)],
    "ov_port_get_partial_shape": [c_void_p, POINTER(PartialShape)],
    "ov_shape_create": [c_int64, POINTER(c_int64), POINTER(Shape)],
    "ov_shape_free": [POINTER(Shape)],
    "ov_tensor_create": [c_int, Shape, _OUT],
    "ov_tensor_create_from_host_ptr": [c_int, Shape, c_void_p, _OUT],
    "ov_tensor_data": [c_void_p, _OUT],
    "ov_tensor_get_byte_size": [c_void_p, POINTER(c_size_t)],
    "ov_tensor_get_shape": [c_void_p, POINTER(Shape)],
    "ov_tensor_get_element_type": [c_void_p, POINTER(c_int)],
    "ov_infer_request_set_input_tensor_by_index": [c_void_p, c_size_t, c_void_p],
    "ov_infer_request_get_output_tensor_by_index": [c_void_p, c_size_t, _OUT],
    "ov_infer_request_infer": [c_void_p],
}
_FREES = (
    "ov_model_free",
    "ov_compiled_model_free",
    "ov_infer_request_free",
    "ov_tensor_free",
    "ov_output_const_port_free",
    "ov_free",
)


# the last: there is no room for a thread's stack
_WANT_OF_MEMORY = ("bad_alloc", "Failed to allocate", "Resource temporarily unavailable")


class Library:
    """The loaded library. Calls raise EngineError with OpenVINO's own message."""

    def __init__(self) -> None:
        self._dll = loaded(_library())
        self._dll.ov_get_last_err_msg.restype = c_void_p
        for name, arguments in _CHECKED.items():
            function = getattr(self._dll, name)
            function.argtypes = arguments
            function.restype = c_int
        for name in _FREES:
            function = getattr(self._dll, name)
            function.argtypes = [c_void_p]
            function.restype = None
        self._dll.ov_partial_shape_free.argtypes = [POINTER(PartialShape)]
        self._dll.ov_partial_shape_free.restype = None
        self._dll.ov_available_devices_free.argtypes = [POINTER(AvailableDevices)]
        self._dll.ov_available_devices_free.restype = None
        self._dll.ov_version_free.argtypes = [POINTER(Version)]
        self._dll.ov_version_free.restype = None

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status. Raises EngineError when it is not OK."""
        if getattr(self._dll, name)(*arguments) != 0:
            sentence = self._last_error()
            if any(word in sentence for word in _WANT_OF_MEMORY):
                raise OutOfMemoryError(sentence)
            raise EngineError(sentence)

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function whose last argument receives a new object; return the object."""
        out = c_void_p()
        self.call(name, *arguments, byref(out))
        return out

    def count(self, name: str, owner: c_void_p) -> int:
        """Call a function whose last argument receives a size."""
        out = c_size_t()
        self.call(name, owner, byref(out))
        return out.value

    def take_string(self, name: str, *arguments: Any) -> str:
        """Call a function whose last argument receives a string; free it after reading."""
        pointer = self.make(name, *arguments)
        try:
            return (ctypes.cast(pointer, c_char_p).value or b"").decode(errors="replace")
        finally:
            self.free("ov_free", pointer)

    def free(self, name: str, pointer: Any) -> None:
        """Call one of the functions that free and return nothing."""
        getattr(self._dll, name)(pointer)

    def with_shape(self, dims: Sequence[int], use: Callable[[Shape], c_void_p]) -> c_void_p:
        """Lend `use` an `ov_shape_t` of these dims."""
        shape = Shape()
        self.call("ov_shape_create", len(dims), (c_int64 * len(dims))(*dims), byref(shape))
        try:
            return use(shape)
        finally:
            self.call("ov_shape_free", byref(shape))

    def _last_error(self) -> str:
        pointer = c_void_p(self._dll.ov_get_last_err_msg())
        if not pointer:
            return "OpenVINO gave no reason"
        try:
            text = (ctypes.cast(pointer, c_char_p).value or b"").decode(errors="replace")
        finally:
            self.free("ov_free", pointer)
        return reason(text)


def reason(text: str) -> str:
    """The sentence in an OpenVINO exception: without source positions and check expressions.

    A message reads `Exception from src/…:85:⏎Check '…' failed at src/…:12:⏎the sentence⏎`.
    """
    lines = [line.strip() for line in text.splitlines()]
    kept = [
        line
        for line in lines
        if line
        and not line.startswith(("Exception from ", "Check '"))
        and line != "[ GENERAL_ERROR ]"
        and not re.fullmatch(r"FrontEnd API failed with \w+:?", line)
    ]
    if not kept:
        kept = [line for line in lines if line]
    said = "; ".join(dict.fromkeys(kept))[:400] or "OpenVINO gave no reason"
    # which front ends it has, and by which endings it looks for them, helps nobody
    said = re.sub(r"Unable to read the model: .*", "no format that OpenVINO reads", said)
    said = re.sub(r"No translator found for (\w+) node\.", r"it has no operation \1", said)
    return re.sub(r"^TensorFlow Lite Frontend: ", "", said).rstrip(".")


def library_identity() -> str:
    """What tells this OpenVINO from any other."""
    return wheel.identity(_library())


def _library() -> Path:
    names = {
        "linux": "libopenvino_c.so*",
        "darwin": "libopenvino_c*.dylib",
        "win32": "openvino_c.dll",
    }
    return wheel.library("openvino", "OpenVINO's C library", "libs", names)
