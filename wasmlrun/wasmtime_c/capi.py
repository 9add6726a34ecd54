"""wasmtime's public C API through ctypes: declarations, errors, and nothing else.

The shared library travels inside the `wasmtime` wheel. The declarations are those of wasmtime
50 (https://docs.wasmtime.dev/c-api/); the project's requirement on the package goes with them.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable
from ctypes import (
    CFUNCTYPE,
    POINTER,
    byref,
    c_bool,
    c_char_p,
    c_int,
    c_int32,
    c_int64,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import cache
from pathlib import Path
from typing import Any

from wasmlrun.support.native import loaded

I32 = 0
FUNCTION = 0
"""The kind of a function in `wasmtime_extern_t`."""
MEMORY = 3
"""The kind of a memory in `wasmtime_extern_t`."""
TYPE_OF_FUNCTION = 0
"""The kind of a function's type in `wasm_externtype_t`."""


class Refused(Exception):
    """wasmtime refused: a module, an import, a folder; the message is wasmtime's own."""


class Trap(Exception):
    """wasmtime ended a guest: it trapped, or a limit was reached."""


class Exited(Exception):
    """A guest called `proc_exit`."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Bytes(ctypes.Structure):
    """`wasm_byte_vec_t`: bytes and how many."""

    _fields_ = [("size", c_size_t), ("data", POINTER(c_uint8))]

    def taken(self) -> bytes:
        """Its bytes, copied, and the vector freed."""
        data = ctypes.string_at(self.data, self.size) if self.size else b""
        library().wasm_byte_vec_delete(byref(self))
        return data


class Pointers(ctypes.Structure):
    """`wasm_importtype_vec_t` and its kin"""

    _fields_ = [("size", c_size_t), ("data", POINTER(c_void_p))]


class Name(ctypes.Structure):
    """`wasm_name_t`, which belongs to what it names"""

    _fields_ = [("size", c_size_t), ("data", POINTER(c_uint8))]

    def __str__(self) -> str:
        return ctypes.string_at(self.data, self.size).decode() if self.size else ""


class _Of(ctypes.Union):
    # as large and aligned as the largest of what it may hold: three words
    _fields_ = [("i32", c_int32), ("words", c_uint64 * 3)]


class Value(ctypes.Structure):
    """`wasmtime_val_t`: a value and its kind."""

    _fields_ = [("kind", c_uint8), ("of", _Of)]


class External(ctypes.Structure):
    """`wasmtime_extern_t`: an import or export."""

    _fields_ = [("kind", c_uint8), ("of", c_uint64 * 3)]


class Instance(ctypes.Structure):
    """`wasmtime_instance_t`: the handle of an instance."""

    _fields_ = [("store", c_uint64), ("number", c_size_t)]


HostFunction = CFUNCTYPE(
    c_void_p, c_void_p, c_void_p, POINTER(Value), c_size_t, POINTER(Value), c_size_t
)
"""`wasmtime_func_callback_t`: environment, caller, arguments, results -> trap or 0"""
Write = CFUNCTYPE(c_ssize_t, c_void_p, POINTER(c_uint8), c_size_t)
"""Takes what a guest writes; returns how much of it, or a negative error number."""
Finalizer = CFUNCTYPE(None, c_void_p)

_P, _OUT = c_void_p, POINTER(c_void_p)

# name -> result, arguments. A result of _ERROR is a `wasmtime_error_t`, to be given to `check`
_ERROR = c_void_p
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "wasm_byte_vec_new": (None, [POINTER(Bytes), c_size_t, c_char_p]),
    "wasm_byte_vec_delete": (None, [POINTER(Bytes)]),
    "wasmtime_error_message": (None, [_P, POINTER(Bytes)]),
    "wasmtime_error_exit_status": (c_bool, [_P, POINTER(c_int)]),
    "wasmtime_error_delete": (None, [_P]),
    "wasm_trap_message": (None, [_P, POINTER(Bytes)]),
    "wasm_trap_delete": (None, [_P]),
    "wasmtime_trap_new": (c_void_p, [c_char_p, c_size_t]),
    "wasm_config_new": (c_void_p, []),
    "wasmtime_config_epoch_interruption_set": (None, [_P, c_bool]),
    "wasmtime_config_consume_fuel_set": (None, [_P, c_bool]),
    "wasmtime_config_target_set": (_ERROR, [_P, c_char_p]),
    "wasmtime_pooling_allocation_config_new": (c_void_p, []),
    "wasmtime_pooling_allocation_config_delete": (None, [_P]),
    "wasmtime_pooling_allocation_config_total_core_instances_set": (None, [_P, c_uint32]),
    "wasmtime_pooling_allocation_config_total_memories_set": (None, [_P, c_uint32]),
    "wasmtime_pooling_allocation_config_total_tables_set": (None, [_P, c_uint32]),
    "wasmtime_pooling_allocation_config_total_stacks_set": (None, [_P, c_uint32]),
    "wasmtime_pooling_allocation_config_total_gc_heaps_set": (None, [_P, c_uint32]),
    "wasmtime_pooling_allocation_config_max_memory_size_set": (None, [_P, c_size_t]),
    "wasmtime_pooling_allocation_config_table_elements_set": (None, [_P, c_size_t]),
    "wasmtime_pooling_allocation_config_linear_memory_keep_resident_set": (None, [_P, c_size_t]),
    "wasmtime_pooling_allocation_strategy_set": (None, [_P, _P]),
    "wasm_engine_new_with_config": (c_void_p, [_P]),
    "wasmtime_engine_increment_epoch": (None, [_P]),
    "wasm_engine_delete": (None, [_P]),
    "wasmtime_module_new": (_ERROR, [_P, c_char_p, c_size_t, _OUT]),
    "wasmtime_module_deserialize": (_ERROR, [_P, c_char_p, c_size_t, _OUT]),
    "wasmtime_module_serialize": (_ERROR, [_P, POINTER(Bytes)]),
    "wasmtime_module_imports": (None, [_P, POINTER(Pointers)]),
    "wasmtime_module_exports": (None, [_P, POINTER(Pointers)]),
    "wasmtime_module_delete": (None, [_P]),
    "wasm_importtype_module": (POINTER(Name), [_P]),
    "wasm_importtype_name": (POINTER(Name), [_P]),
    "wasm_importtype_type": (c_void_p, [_P]),
    "wasm_importtype_vec_delete": (None, [POINTER(Pointers)]),
    "wasm_exporttype_name": (POINTER(Name), [_P]),
    "wasm_exporttype_type": (c_void_p, [_P]),
    "wasm_exporttype_vec_delete": (None, [POINTER(Pointers)]),
    "wasm_externtype_kind": (c_uint8, [_P]),
    "wasm_externtype_as_functype_const": (c_void_p, [_P]),
    "wasm_functype_params": (POINTER(Pointers), [_P]),
    "wasm_functype_results": (POINTER(Pointers), [_P]),
    "wasm_functype_new": (c_void_p, [POINTER(Pointers), POINTER(Pointers)]),
    "wasm_functype_delete": (None, [_P]),
    "wasm_valtype_new": (c_void_p, [c_uint8]),
    "wasm_valtype_vec_new": (None, [POINTER(Pointers), c_size_t, _OUT]),
    "wasmtime_linker_new": (c_void_p, [_P]),
    "wasmtime_linker_allow_shadowing": (None, [_P, c_bool]),
    "wasmtime_linker_define_wasi": (_ERROR, [_P]),
    "wasmtime_linker_define_func": (
        _ERROR,
        [_P, c_char_p, c_size_t, c_char_p, c_size_t, _P, HostFunction, _P, Finalizer],
    ),
    "wasmtime_linker_get": (
        c_bool,
        [_P, _P, c_char_p, c_size_t, c_char_p, c_size_t, POINTER(External)],
    ),
    "wasmtime_linker_instantiate_pre": (_ERROR, [_P, _P, _OUT]),
    "wasmtime_linker_delete": (None, [_P]),
    "wasmtime_instance_pre_instantiate": (_ERROR, [_P, _P, POINTER(Instance), _OUT]),
    "wasmtime_instance_pre_delete": (None, [_P]),
    "wasmtime_instance_export_get": (
        c_bool,
        [_P, POINTER(Instance), c_char_p, c_size_t, POINTER(External)],
    ),
    "wasmtime_store_new": (c_void_p, [_P, _P, Finalizer]),
    "wasmtime_store_context": (c_void_p, [_P]),
    "wasmtime_store_limiter": (None, [_P, c_int64, c_int64, c_int64, c_int64, c_int64]),
    "wasmtime_store_delete": (None, [_P]),
    "wasmtime_context_set_fuel": (_ERROR, [_P, c_uint64]),
    "wasmtime_context_set_epoch_deadline": (None, [_P, c_uint64]),
    "wasmtime_context_set_wasi": (_ERROR, [_P, _P]),
    "wasmtime_func_call": (
        _ERROR,
        [_P, _P, POINTER(Value), c_size_t, POINTER(Value), c_size_t, _OUT],
    ),
    "wasmtime_caller_export_get": (c_bool, [_P, c_char_p, c_size_t, POINTER(External)]),
    "wasmtime_caller_context": (c_void_p, [_P]),
    "wasmtime_memory_data": (c_void_p, [_P, _P]),
    "wasmtime_memory_data_size": (c_size_t, [_P, _P]),
    "wasi_config_new": (c_void_p, []),
    "wasi_config_delete": (None, [_P]),
    "wasi_config_set_argv": (c_bool, [_P, c_size_t, POINTER(c_char_p)]),
    "wasi_config_set_env": (c_bool, [_P, c_size_t, POINTER(c_char_p), POINTER(c_char_p)]),
    "wasi_config_set_stdin_bytes": (None, [_P, POINTER(Bytes)]),
    "wasi_config_inherit_stdin": (None, [_P]),
    "wasi_config_inherit_stdout": (None, [_P]),
    "wasi_config_inherit_stderr": (None, [_P]),
    "wasi_config_set_stdout_custom": (None, [_P, Write, _P, Finalizer]),
    "wasi_config_set_stderr_custom": (None, [_P, Write, _P, Finalizer]),
    "wasi_config_preopen_dir": (c_bool, [_P, c_char_p, c_char_p, c_bool]),
}


@cache
def library() -> Any:
    """The loaded library, its functions declared. Raises Refused when it is missing."""
    dll = loaded(library_path())
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(dll, name)
        function.restype, function.argtypes = result, arguments
    return dll


@cache
def library_path() -> Path:
    """Where the shared library is. Raises Refused when it is nowhere."""
    spec = importlib.util.find_spec("wasmtime")
    folders = spec.submodule_search_locations if spec is not None else None
    found = [path for folder in folders or () for path in Path(folder).glob("*/*wasmtime.*")]
    if not found:
        raise Refused("the wasmtime package is not installed")
    return min(found)


def check(error: int | None) -> None:
    """Raises Exited or Refused for a `wasmtime_error_t`, which is freed; None is none."""
    if not error:
        return
    lib, code, message = library(), c_int(), Bytes()
    try:
        if lib.wasmtime_error_exit_status(error, byref(code)):
            raise Exited(code.value)
        lib.wasmtime_error_message(error, byref(message))
        raise Refused(message.taken().decode(errors="replace"))
    finally:
        lib.wasmtime_error_delete(error)


def check_call(error: int | None, trap: c_void_p) -> None:
    """As `check`, after a guest ran. Raises Trap for whatever else ended it."""
    if trap:
        lib, message = library(), Bytes()
        lib.wasm_trap_message(trap, byref(message))
        lib.wasm_trap_delete(trap)
        # the vector ends with a NUL
        raise Trap(message.taken().rstrip(b"\0").decode(errors="replace"))
    try:
        check(error)
    except Refused as e:
        raise Trap(str(e)) from None


class Owned:
    """Something of wasmtime's that is freed with its Python object."""

    pointer: int | None = None

    def __init__(self, pointer: int, delete: Callable[[int], None]) -> None:
        self.pointer = pointer
        self._delete = delete

    def close(self) -> None:
        """Free it now, rather than when this object goes."""
        if self.pointer is not None:
            self._delete(self.pointer)
            self.pointer = None

    def __del__(self) -> None:
        self.close()
