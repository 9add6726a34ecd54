"""LiteRT's C API through ctypes: declarations, status checks, and nothing else.

The shared library travels inside the `ai-edge-litert` wheel. It is loaded without importing the
package, which imports numpy. Header files: `litert/c/` in LiteRT's repository.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, byref, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_void_p
from pathlib import Path
from typing import Any

from wasmlrun.engines import wheel
from wasmlrun.engines.protocol import EngineError, OutOfMemoryError
from wasmlrun.support.native import loaded

MAX_RANK = 8


class Layout(ctypes.Structure):
    """`LiteRtLayout`: in `rank`, the highest of 8 bits says whether there are strides."""

    _fields_ = [
        ("rank", ctypes.c_uint32),
        ("dimensions", c_int32 * MAX_RANK),
        ("strides", ctypes.c_uint32 * MAX_RANK),
    ]

    @property
    def shape(self) -> tuple[int, ...]:
        """The dimensions that there are; below 0 is a size that is free."""
        return tuple(max(n, -1) for n in self.dimensions[: self.rank & 0x7F])


class TensorType(ctypes.Structure):
    """`LiteRtRankedTensorType`: an element type and a layout."""

    _fields_ = [("element_type", c_int), ("layout", Layout)]


class Option(ctypes.Structure):
    """`LiteRtEnvOption` whose value is a whole number"""

    _fields_ = [("tag", c_int), ("kind", c_int), ("value", c_int64)]


WHOLE_NUMBER = 2
"""`kLiteRtAnyTypeInt`"""
ACCELERATORS_TAG, SEVERITY_TAG = 24, 25
CPU = 1
"""`kLiteRtHwAcceleratorCpu`"""
SILENT = 4
HOST_MEMORY = 1
READ, WRITE = 0, 1
RANKED = 0
_OUT = POINTER(c_void_p)
_Destructor = ctypes.CFUNCTYPE(None, c_void_p)
KEEP = _Destructor(lambda pointer: None)
"""The destructor of what belongs to Python."""

# name -> argument types; every one of these returns a status
_CHECKED: dict[str, list[Any]] = {
    "CreateEnvironment": [c_int, POINTER(Option), _OUT],
    "CreateModelFromBuffer": [c_void_p, c_void_p, c_size_t, _OUT],
    "GetNumModelSignatures": [c_void_p, POINTER(c_size_t)],
    "GetModelSignature": [c_void_p, c_size_t, _OUT],
    "GetNumSignatureInputs": [c_void_p, POINTER(c_size_t)],
    "GetNumSignatureOutputs": [c_void_p, POINTER(c_size_t)],
    "GetSignatureInputTensorByIndex": [c_void_p, c_size_t, _OUT],
    "GetSignatureOutputTensorByIndex": [c_void_p, c_size_t, _OUT],
    "GetSignatureSubgraph": [c_void_p, _OUT],
    "GetNumSubgraphInputs": [c_void_p, POINTER(c_size_t)],
    "GetNumSubgraphOutputs": [c_void_p, POINTER(c_size_t)],
    "GetSubgraphInput": [c_void_p, c_size_t, _OUT],
    "GetSubgraphOutput": [c_void_p, c_size_t, _OUT],
    "GetTensorName": [c_void_p, POINTER(c_char_p)],
    "GetTensorTypeId": [c_void_p, POINTER(c_int)],
    "GetRankedTensorType": [c_void_p, POINTER(TensorType)],
    "CreateOptions": [_OUT],
    "SetOptionsHardwareAccelerators": [c_void_p, c_int],
    "CreateOpaqueOptions": [c_char_p, c_void_p, _Destructor, _OUT],
    "AddOpaqueOptions": [c_void_p, c_void_p],
    "CreateCompiledModel": [c_void_p, c_void_p, c_void_p, _OUT],
    "GetCompiledModelInputTensorLayout": [c_void_p, c_size_t, c_size_t, POINTER(Layout)],
    "GetCompiledModelOutputTensorLayouts": [
        c_void_p,
        c_size_t,
        c_size_t,
        POINTER(Layout),
        c_bool,
    ],
    "GetCompiledModelInputBufferRequirements": [c_void_p, c_size_t, c_size_t, _OUT],
    "GetCompiledModelOutputBufferRequirements": [c_void_p, c_size_t, c_size_t, _OUT],
    "GetTensorBufferRequirementsBufferSize": [c_void_p, POINTER(c_size_t)],
    "CompiledModelResizeInputTensor": [c_void_p, c_size_t, c_size_t, POINTER(c_int), c_size_t],
    "RunCompiledModel": [c_void_p, c_size_t, c_size_t, _OUT, c_size_t, _OUT],
    "CreateManagedTensorBuffer": [c_void_p, c_int, POINTER(TensorType), c_size_t, _OUT],
    "LockTensorBuffer": [c_void_p, _OUT, c_int],
    "UnlockTensorBuffer": [c_void_p],
}
_DESTROYS = ("Environment", "Model", "Options", "CompiledModel", "TensorBuffer")
_STATUS = {
    1: "an argument does not fit the model",
    3: "the model cannot be run",
    4: "an input is missing",
    5: "the model uses what LiteRT does not support",
    501: "the bytes are no TensorFlow Lite model",
    504: "the model cannot be compiled",
    1000: "the model has no such part",
}
_NO_MEMORY = 2


class Library:
    """The loaded library. Calls raise EngineError with what their status means."""

    def __init__(self) -> None:
        self._dll = loaded(_library())
        try:
            for name, arguments in _CHECKED.items():
                function = getattr(self._dll, f"LiteRt{name}")
                function.argtypes = arguments
                function.restype = c_int
            for name in _DESTROYS:
                function = getattr(self._dll, f"LiteRtDestroy{name}")
                function.argtypes = [c_void_p]
                function.restype = None
        except AttributeError as e:
            raise EngineError(f"LiteRT's library is of a version that is not known: {e}") from e

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function that returns a status. Raises EngineError when it is not OK."""
        status = getattr(self._dll, f"LiteRt{name}")(*arguments)
        if status == _NO_MEMORY:
            raise OutOfMemoryError("LiteRT could not have the memory that it wanted")
        if status != 0:
            raise EngineError(_STATUS.get(status, f"LiteRT gave the status {status}"))

    def make(self, name: str, *arguments: Any) -> c_void_p:
        """Call a function whose last argument receives an object; return the object."""
        out = c_void_p()
        self.call(name, *arguments, byref(out))
        return out

    def locked(self, buffer: c_void_p, mode: int) -> c_void_p:
        """The memory of a tensor buffer, until it is unlocked."""
        out = c_void_p()
        self.call("LockTensorBuffer", buffer, byref(out), mode)
        return out

    def count(self, name: str, owner: c_void_p) -> int:
        """Call a function whose last argument receives a size."""
        out = c_size_t()
        self.call(name, owner, byref(out))
        return out.value

    def destroy(self, name: str, pointer: c_void_p) -> None:
        """Free an object of this kind."""
        getattr(self._dll, f"LiteRtDestroy{name}")(pointer)


def library_identity() -> str:
    """What tells this LiteRT from any other."""
    return wheel.identity(_library())


def _library() -> Path:
    names = {"linux": "libLiteRt.so", "darwin": "libLiteRt.dylib", "win32": "LiteRt.dll"}
    return wheel.library("ai_edge_litert", "LiteRT's C library", "", names)
