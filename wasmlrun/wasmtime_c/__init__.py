"""WebAssembly for core modules: wasmtime's C API through ctypes, and the few objects needed.

The `wasmtime` package is imported for components only: defining its two thousand functions
takes a tenth of a warm run.
"""

from wasmlrun.wasmtime_c.capi import Exited, Refused, Trap
from wasmlrun.wasmtime_c.engine import Engine, Module, Store
from wasmlrun.wasmtime_c.guest_memory import GuestMemory, OutsideMemory
from wasmlrun.wasmtime_c.linker import Caller, Linked, Linker

__all__ = [
    "Caller",
    "Engine",
    "Exited",
    "GuestMemory",
    "Linked",
    "Linker",
    "Module",
    "OutsideMemory",
    "Refused",
    "Store",
    "Trap",
]
