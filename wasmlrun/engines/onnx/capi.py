"""ONNX Runtime's public C API through ctypes: declarations, status checks, and nothing else.

The shared library travels inside the `onnxruntime` wheel. It is loaded without importing the
package, whose import, with numpy, takes longer than an inference does. The API is a table of
functions whose order never changes (`onnxruntime_c_api.h`: "the order of functions … must not
change"); what is called here has its place in it below.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_char_p, c_int, c_int64, c_size_t, c_uint32, c_void_p
from pathlib import Path
from typing import Any

from wasmlrun.engines import wheel
from wasmlrun.engines.protocol import EngineError, OutOfMemoryError
from wasmlrun.support.native import loaded

API_VERSION = 16
"""The oldest that has all that is called."""

_OUT = POINTER(c_void_p)
_NAMES = POINTER(c_char_p)
_VALUES = POINTER(c_void_p)

# name -> place in OrtApi, argument types; every one of these returns a status
_CHECKED: dict[str, tuple[int, list[Any]]] = {
    "CreateEnv": (3, [c_int, c_char_p, _OUT]),
    "CreateSession": (7, [c_void_p, c_char_p, c_void_p, _OUT]),
    "CreateSessionFromArray": (8, [c_void_p, c_char_p, c_size_t, c_void_p, _OUT]),
    "Run": (
        9,
        [c_void_p, c_void_p, _NAMES, _VALUES, c_size_t, _NAMES, c_size_t, _VALUES],
    ),
    "CreateSessionOptions": (10, [_OUT]),
    "SetOptimizedModelFilePath": (11, [c_void_p, c_char_p]),
    "SetSessionLogSeverityLevel": (22, [c_void_p, c_int]),
    "SetSessionGraphOptimizationLevel": (23, [c_void_p, c_int]),
    "SetIntraOpNumThreads": (24, [c_void_p, c_int]),
    "SetInterOpNumThreads": (25, [c_void_p, c_int]),
    "SessionGetInputCount": (30, [c_void_p, POINTER(c_size_t)]),
    "SessionGetOutputCount": (31, [c_void_p, POINTER(c_size_t)]),
    "SessionGetInputTypeInfo": (33, [c_void_p, c_size_t, _OUT]),
    "SessionGetOutputTypeInfo": (34, [c_void_p, c_size_t, _OUT]),
    "SessionGetInputName": (36, [c_void_p, c_size_t, c_void_p, _OUT]),
    "SessionGetOutputName": (37, [c_void_p, c_size_t, c_void_p, _OUT]),
    "CreateTensorWithDataAsOrtValue": (
        49,
        [c_void_p, c_void_p, c_size_t, POINTER(c_int64), c_size_t, c_int, _OUT],
    ),
    "IsTensor": (50, [c_void_p, POINTER(c_int)]),
    "GetTensorMutableData": (51, [c_void_p, _OUT]),
    "CastTypeInfoToTensorInfo": (55, [c_void_p, _OUT]),
    "GetTensorElementType": (60, [c_void_p, POINTER(c_int)]),
    "GetDimensionsCount": (61, [c_void_p, POINTER(c_size_t)]),
    "GetDimensions": (62, [c_void_p, POINTER(c_int64), c_size_t]),
    "GetTensorTypeAndShape": (65, [c_void_p, _OUT]),
    "CreateCpuMemoryInfo": (69, [c_int, c_int, _OUT]),
    "AllocatorFree": (76, [c_void_p, c_void_p]),
    "GetAllocatorWithDefaultOptions": (78, [_OUT]),
    "AddSessionConfigEntry": (130, [c_void_p, c_char_p, c_char_p]),
}
_ERROR_MESSAGE = 2
_RELEASES = {
    "ReleaseStatus": 93,
    "ReleaseSession": 95,
    "ReleaseValue": 96,
    "ReleaseTypeInfo": 98,
    "ReleaseTensorTypeAndShapeInfo": 99,
    "ReleaseSessionOptions": 100,
}
_WANT_OF_MEMORY = ("bad_alloc", "bad allocation", "Failed to allocate", "pthread_create failed")


class _ApiBase(ctypes.Structure):
    """`OrtApiBase`: where the table of functions comes from."""

    _fields_ = [
        ("get_api", ctypes.CFUNCTYPE(c_void_p, c_uint32)),
        ("get_version", ctypes.CFUNCTYPE(c_char_p)),
    ]


class Library:
    """The loaded library. Calls raise EngineError with ONNX Runtime's own message."""

    def __init__(self) -> None:
        dll = loaded(_library())
        dll.OrtGetApiBase.restype = POINTER(_ApiBase)
        base = dll.OrtGetApiBase().contents
        self.version: str = base.get_version().decode()
        table = base.get_api(API_VERSION)
        if not table:
            raise EngineError(f"ONNX Runtime {self.version} has no API of version {API_VERSION}")
        places = ctypes.cast(table, POINTER(c_void_p))
        self._functions: dict[str, Any] = {
            name: ctypes.CFUNCTYPE(c_void_p, *arguments)(places[place])
            for name, (place, arguments) in _CHECKED.items()
        }
        self._releases: dict[str, Any] = {
            name: ctypes.CFUNCTYPE(None, c_void_p)(places[place])
            for name, place in _RELEASES.items()
        }
        self._message = ctypes.CFUNCTYPE(c_char_p, c_void_p)(places[_ERROR_MESSAGE])

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status. Raises EngineError when it is one."""
        status = self._functions[name](*arguments)
        if not status:
            return
        try:
            text = (self._message(status) or b"").decode(errors="replace")
        finally:
            self._releases["ReleaseStatus"](status)
        sentence = " ".join(text.split())[:400] or "ONNX Runtime gave no reason"
        if any(word in sentence for word in _WANT_OF_MEMORY):
            raise OutOfMemoryError(sentence)
        raise EngineError(sentence)

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function whose last argument receives a new object; return the object."""
        out = c_void_p()
        self.call(name, *arguments, byref(out))
        return out

    def number(self, name: str, owner: c_void_p) -> int:
        """Call a function whose last argument receives an enumeration's value."""
        out = c_int()
        self.call(name, owner, byref(out))
        return out.value

    def count(self, name: str, owner: c_void_p) -> int:
        """Call a function whose last argument receives a size."""
        out = c_size_t()
        self.call(name, owner, byref(out))
        return out.value

    def release(self, name: str, pointer: c_void_p) -> None:
        """Free an object of this kind."""
        self._releases[f"Release{name}"](pointer)


def library_identity() -> str:
    """What tells this ONNX Runtime from any other."""
    return wheel.identity(_library())


def _library() -> Path:
    names = {
        "linux": "libonnxruntime.so*",
        "darwin": "libonnxruntime*.dylib",
        "win32": "onnxruntime.dll",
    }
    return wheel.library("onnxruntime", "ONNX Runtime's C library", "capi", names)
