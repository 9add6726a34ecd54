"""Engine, module and store."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import byref, c_void_p
from typing import Any, ClassVar

from wasmlrun.wasmtime_c.capi import (
    TYPE_OF_FUNCTION,
    Bytes,
    Finalizer,
    Owned,
    Pointers,
    check,
    library,
)

_NO_FINALIZER = Finalizer()
_MEMORY = 1 << 32
"""Bytes of the largest memory that 32-bit addresses reach."""
_RESIDENT = 256 << 10
"""Bytes of a memory that are set to zero for the next instance rather than given back: from about
here on it is quicker to ask the system for fresh ones."""


class Engine(Owned):
    """Compiles modules, and interrupts guests when its epoch ends."""

    def __init__(
        self, *, fuel: bool = False, target: str | None = None, ready: int | None = None
    ) -> None:
        """With `fuel` every instruction is counted. `target` names another processor than this.

        With `ready` the memory of one instance is kept, with a table of up to so many elements:
        instances are made and unmade in a few microseconds, one at a time. Modules that have
        more than one memory or table are refused then.

        Raises Refused for a target that is unknown. The process ends for one that there is no
        compiler for.
        """
        lib = library()
        config = lib.wasm_config_new()
        lib.wasmtime_config_epoch_interruption_set(config, True)
        lib.wasmtime_config_consume_fuel_set(config, fuel)
        if target is not None:
            check(lib.wasmtime_config_target_set(config, target.encode()))
        if ready is not None:
            _keep_ready(lib, config, ready)
        # takes ownership of the configuration
        super().__init__(lib.wasm_engine_new_with_config(config), lib.wasm_engine_delete)

    def increment_epoch(self) -> None:
        """End an epoch, and the guests whose deadline it is; from any thread."""
        library().wasmtime_engine_increment_epoch(self.pointer)


def _keep_ready(lib: Any, config: int, table: int) -> None:
    """Tell a configuration to keep what one instance needs."""
    kept = lib.wasmtime_pooling_allocation_config_new()
    for name, value in (
        ("total_core_instances", 1),
        ("total_memories", 2),  # what references live in takes one of them
        ("total_tables", 1),
        ("total_stacks", 0),
        ("total_gc_heaps", 1),
        ("max_memory_size", _MEMORY),
        ("table_elements", table),
        ("linear_memory_keep_resident", _RESIDENT),
    ):
        getattr(lib, f"wasmtime_pooling_allocation_config_{name}_set")(kept, value)
    lib.wasmtime_pooling_allocation_strategy_set(config, kept)
    lib.wasmtime_pooling_allocation_config_delete(kept)


class Module(Owned):
    """A module that was compiled, or read as machine code."""

    compilations: ClassVar[int] = 0
    """How often this process had Cranelift, wasmtime's compiler, make code of a core module."""

    def __init__(self, pointer: c_void_p) -> None:
        assert pointer.value is not None
        super().__init__(pointer.value, library().wasmtime_module_delete)

    @classmethod
    def compiled(cls, engine: Engine, code: bytes) -> Module:
        """From WebAssembly. Raises Refused when it is none, or invalid."""
        made = c_void_p()
        cls.compilations += 1
        check(library().wasmtime_module_new(engine.pointer, code, len(code), byref(made)))
        return cls(made)

    @classmethod
    def restored(cls, engine: Engine, machine_code: bytes) -> Module:
        """From machine code that `serialize` gave, and nobody has touched since.

        It is run as it is: only what is trusted comes here. Raises Refused when it was made by
        another wasmtime, or for another processor.
        """
        made = c_void_p()
        size = len(machine_code)
        check(
            library().wasmtime_module_deserialize(engine.pointer, machine_code, size, byref(made))
        )
        return cls(made)

    def serialize(self) -> bytes:
        """The machine code of the module."""
        data = Bytes()
        check(library().wasmtime_module_serialize(self.pointer, byref(data)))
        return data.taken()

    def imports(self) -> list[tuple[str, str, int]]:
        """(module, name, number of parameters) of each import; -1 for what is no function."""
        lib, found = library(), Pointers()
        lib.wasmtime_module_imports(self.pointer, byref(found))
        try:
            return [
                (
                    str(lib.wasm_importtype_module(item).contents),
                    str(lib.wasm_importtype_name(item).contents),
                    (_signature(lib.wasm_importtype_type(item)) or (-1, 0))[0],
                )
                for item in _items(found)
            ]
        finally:
            lib.wasm_importtype_vec_delete(byref(found))

    def functions(self) -> dict[str, tuple[int, int]]:
        """Name -> numbers of parameters and results of each function that it exports."""
        lib, found = library(), Pointers()
        lib.wasmtime_module_exports(self.pointer, byref(found))
        try:
            kinds = {
                str(lib.wasm_exporttype_name(item).contents): _signature(
                    lib.wasm_exporttype_type(item)
                )
                for item in _items(found)
            }
            return {name: kind for name, kind in kinds.items() if kind is not None}
        finally:
            lib.wasm_exporttype_vec_delete(byref(found))


class Store(Owned):
    """What one instance has: its memories, its fuel, its limits; gone when it is closed."""

    def __init__(self, engine: Engine) -> None:
        lib = library()
        made = lib.wasmtime_store_new(engine.pointer, None, _NO_FINALIZER)
        super().__init__(made, lib.wasmtime_store_delete)
        self.context: int = lib.wasmtime_store_context(made)

    def set_limits(
        self,
        *,
        memory: int,
        table: int,
        instances: int,
        tables: int,
        memories: int,
        fuel: int | None,
    ) -> None:
        """Bytes of a memory, elements of a table, how many of each, and instructions."""
        lib = library()
        lib.wasmtime_store_limiter(self.pointer, memory, table, instances, tables, memories)
        if fuel is not None:
            check(lib.wasmtime_context_set_fuel(self.context, fuel))

    def set_epoch_deadline(self, epochs: int) -> None:
        """After how many of the engine's epochs, from now on, its guest is interrupted."""
        library().wasmtime_context_set_epoch_deadline(self.context, epochs)


def _items(found: Pointers) -> Iterator[int]:
    return (found.data[index] for index in range(found.size))


def _signature(kind: int) -> tuple[int, int] | None:
    """How many parameters and results a function's type has; None for any other type."""
    lib = library()
    if lib.wasm_externtype_kind(kind) != TYPE_OF_FUNCTION:
        return None
    function = lib.wasm_externtype_as_functype_const(kind)
    parameters = lib.wasm_functype_params(function).contents.size
    return int(parameters), int(lib.wasm_functype_results(function).contents.size)
