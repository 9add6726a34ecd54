"""Imports provided to a module, and an instance's run."""

from __future__ import annotations

from collections.abc import Callable
from ctypes import addressof, byref, c_void_p
from typing import Any

from wasmlrun.wasmtime_c.capi import (
    FUNCTION,
    I32,
    MEMORY,
    Exited,
    External,
    HostFunction,
    Instance,
    Owned,
    Pointers,
    Trap,
    Value,
    check,
    check_call,
    library,
)
from wasmlrun.wasmtime_c.engine import Engine, Module, Store
from wasmlrun.wasmtime_c.registry import Registry


class Caller:
    """The guest that calls a host function, for as long as the call lasts."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def memory(self) -> tuple[int, int] | None:
        """Address and size of the memory that it exports as `memory`, None if there is none."""
        lib, found = library(), External()
        if not lib.wasmtime_caller_export_get(self._pointer, b"memory", 6, byref(found)):
            return None
        return _memory(lib.wasmtime_caller_context(self._pointer), found)

    def call(self, name: str, *arguments: int) -> int | None:
        """Call a function of i32s that the guest exports, with one i32 result; None if there is
        none of this name, and kind.

        Raises:
            Exited: it called `proc_exit`. Trap: it was ended.
        """
        lib, found, trap = library(), External(), c_void_p()
        exported = name.encode()
        if not lib.wasmtime_caller_export_get(self._pointer, exported, len(exported), byref(found)):
            return None
        if found.kind != FUNCTION:
            return None
        given, results = (Value * len(arguments))(), (Value * 1)()
        for place, argument in zip(given, arguments, strict=True):
            place.kind, place.of.i32 = I32, argument
        context = lib.wasmtime_caller_context(self._pointer)
        function = addressof(found) + External.of.offset
        check_call(
            lib.wasmtime_func_call(
                context, function, given, len(arguments), results, 1, byref(trap)
            ),
            trap,
        )
        return int(results[0].of.i32)


Handler = Callable[..., int | None]
"""Takes a Caller and the arguments, as signed numbers of 32 bits; gives one such number or none."""


class Linker(Owned):
    """Functions by name, which modules import. What a handler raises ends the guest."""

    def __init__(self, engine: Engine) -> None:
        lib = library()
        super().__init__(lib.wasmtime_linker_new(engine.pointer), lib.wasmtime_linker_delete)
        self._raised: list[BaseException] = []

    def define_wasi(self) -> None:
        """Define WASI's functions; the store says what they do."""
        check(library().wasmtime_linker_define_wasi(self.pointer))

    def define(
        self,
        module: str,
        name: str,
        parameters: int,
        handler: Handler,
        results: int = 1,
        *,
        instead: bool = False,
    ) -> None:
        """Define a function of so many i32 parameters, and one i32 result or none.

        Raises Refused when there is one of this name already, unless it comes `instead` of that.
        """
        lib = library()
        lib.wasmtime_linker_allow_shadowing(self.pointer, instead)
        kind = lib.wasm_functype_new(byref(_i32s(parameters)), byref(_i32s(results)))
        number = _handlers.keep((handler, self._raised))
        names = _sized(module, name)
        try:
            check(
                lib.wasmtime_linker_define_func(
                    self.pointer, *names, kind, _call, number, _handlers.finalizer
                )
            )
        finally:
            lib.wasm_functype_delete(kind)

    def has(self, store: Store, module: str, name: str) -> bool:
        """Whether something of this name is defined."""
        lib, found = library(), External()
        names = _sized(module, name)
        return bool(lib.wasmtime_linker_get(self.pointer, store.context, *names, byref(found)))

    def link(self, module: Module, entry: str = "_start") -> Linked:
        """Give a module its imports. Raises Refused for one that is missing or of another kind.

        `entry` is the function that a run calls.
        """
        made = c_void_p()
        check(library().wasmtime_linker_instantiate_pre(self.pointer, module.pointer, byref(made)))
        return Linked(self, made, self._raised, entry.encode())


class Linked(Owned):
    """A module with its imports; runs one instance at a time."""

    def __init__(
        self, linker: Linker, pointer: c_void_p, raised: list[BaseException], entry: bytes
    ) -> None:
        assert pointer.value is not None
        super().__init__(pointer.value, library().wasmtime_instance_pre_delete)
        self._linker = linker  # its functions are called
        self._raised = raised
        self._entry = entry
        self.memory_used = 0
        """Bytes of the memory that the last instance exported, when it ended."""

    def run(self, store: Store, results: int = 0) -> None:
        """Make an instance and call its entry, which has so many results and no parameters.

        Raises:
            Exited: it called `proc_exit`. Trap: it was ended; or what a host function raised.
        """
        self.memory_used = 0
        self._raised.clear()
        try:
            self._run(store, results)
        except (Trap, Exited) as error:
            ended: Trap | Exited | None = error
        else:
            ended = None
        # not where wasmtime's own error would become its context
        if self._raised:
            raise self._raised.pop()
        if ended is not None:
            raise ended

    def _run(self, store: Store, results: int) -> None:
        lib, instance, trap = library(), Instance(), c_void_p()
        context, start, memory = store.context, External(), External()
        try:
            check_call(
                lib.wasmtime_instance_pre_instantiate(
                    self.pointer, context, byref(instance), byref(trap)
                ),
                trap,
            )
            exported = lib.wasmtime_instance_export_get
            exported(context, byref(instance), b"memory", 6, byref(memory))
            exported(context, byref(instance), self._entry, len(self._entry), byref(start))
            function, given = addressof(start) + External.of.offset, (Value * results)()
            check_call(
                lib.wasmtime_func_call(context, function, None, 0, given, results, byref(trap)),
                trap,
            )
        finally:
            found = _memory(context, memory)
            self.memory_used = found[1] if found else 0


def _memory(context: int, external: External) -> tuple[int, int] | None:
    """Address and size of an external if it is a memory."""
    if external.kind != MEMORY:
        return None
    lib, memory = library(), addressof(external) + External.of.offset
    address = lib.wasmtime_memory_data(context, memory) or 0
    return address, lib.wasmtime_memory_data_size(context, memory)


def _sized(module: str, name: str) -> tuple[bytes, int, bytes, int]:
    """Both names with their lengths in bytes, as wasmtime takes them."""
    first, second = module.encode(), name.encode()
    return first, len(first), second, len(second)


def _i32s(count: int) -> Pointers:
    """So many i32 types, to be owned by a function's type."""
    lib, types = library(), Pointers()
    made = (c_void_p * count)(*(lib.wasm_valtype_new(I32) for _ in range(count)))
    lib.wasm_valtype_vec_new(byref(types), count, made)
    return types


def _called(number: int, caller: int, arguments: Any, count: int, results: Any, _: int) -> int:
    handler, raised = _handlers[number]
    try:
        values = [arguments[index].of.i32 for index in range(count)]
        result = handler(Caller(caller), *values)
        if result is not None:
            results[0].kind, results[0].of.i32 = I32, result
    except BaseException as error:  # noqa: BLE001 - raised again where the guest was started
        raised.append(error)
        message = b"the host"
        trap: int = library().wasmtime_trap_new(message, len(message))
        return trap
    return 0


_handlers: Registry[tuple[Handler, list[BaseException]]] = Registry()
_call = HostFunction(_called)
