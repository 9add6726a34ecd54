"""wasmtime's C API: declared as the package itself has it, and safe around a guest."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wasmtime import _bindings as package

from wasmlrun.sandbox import core_wasi
from wasmlrun.sandbox.setup import Lent, Setup
from wasmlrun.wasmtime_c import (
    Caller,
    Engine,
    Exited,
    Linker,
    Module,
    Refused,
    Store,
    Trap,
    capi,
)
from wasmlrun.wasmtime_c import linker as linker_module

Assemble = Callable[[str], bytes]

CALLING = """(module
  (import "host" "f" (func $f (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 8) "hello")
  (func (export "_start") (call $proc_exit (call $f (i32.const -7) (i32.const 8)))))"""


def run(code: bytes, handler: Callable[..., int], engine: Engine | None = None) -> int:
    """Run a module that may import host.f; what it exits with."""
    engine = engine or Engine()
    linker = Linker(engine)
    linker.define_wasi()
    linker.define("host", "f", 2, handler)
    store = Store(engine)
    store.set_limits(memory=1 << 20, table=10, instances=1, tables=99, memories=99, fuel=None)
    store.set_epoch_deadline(1)
    lent = Lent()
    core_wasi.give(
        store, Setup((), ("guest",), (), b"", lambda data: None, lambda data: None), lent
    )
    module = Module.compiled(engine, code)
    try:
        linker.link(module).run(store, module.functions()["_start"][1])
    except Exited as e:
        return e.code
    finally:
        store.close()
        lent.wait()
    return 0


# --- declarations ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "theirs"),
    [
        (capi.Bytes, package.wasm_byte_vec_t),
        (capi.Name, package.wasm_byte_vec_t),
        (capi.Pointers, package.wasm_importtype_vec_t),
        (capi.Pointers, package.wasm_exporttype_vec_t),
        (capi.Pointers, package.wasm_valtype_vec_t),
        (capi.Value, package.wasmtime_val),
        (capi.External, package.wasmtime_extern),
        (capi.Instance, package.wasmtime_instance),
    ],
)
def test_layouts_are_those_of_the_package(own: Any, theirs: Any) -> None:
    assert ctypes.sizeof(own) == ctypes.sizeof(theirs)
    assert ctypes.alignment(own) == ctypes.alignment(theirs)
    for (name, _), (other, _) in zip(own._fields_, theirs._fields_, strict=True):
        mine, known = getattr(own, name), getattr(theirs, other)
        assert (mine.offset, mine.size) == (known.offset, known.size)


def is_pointer(kind: Any) -> bool:
    if kind is None:
        return False
    simple = getattr(kind, "_type_", None)
    return kind in (ctypes.c_void_p, ctypes.c_char_p) or not isinstance(simple, str)


@pytest.mark.parametrize("name", capi._FUNCTIONS)
def test_functions_are_declared_as_the_package_has_them(name: str) -> None:
    result, arguments = capi._FUNCTIONS[name]
    known = getattr(package, f"_{name}")
    assert len(arguments) == len(known.argtypes)
    for mine, theirs in zip((result, *arguments), (known.restype, *known.argtypes), strict=True):
        assert is_pointer(mine) == is_pointer(theirs)
        if mine is not None and not is_pointer(mine):
            # the same number; a size in one may be a signed long of the same width in the other
            assert ctypes.sizeof(mine) == ctypes.sizeof(theirs)
        assert (mine is None) == (theirs is None)


@pytest.mark.parametrize(
    ("own", "function", "place"),
    [
        (capi.HostFunction, "wasmtime_linker_define_func", 6),
        (capi.Finalizer, "wasmtime_linker_define_func", 8),
        (capi.Finalizer, "wasmtime_store_new", 2),
        (capi.Write, "wasi_config_set_stdout_custom", 1),
        (capi.Finalizer, "wasi_config_set_stdout_custom", 3),
    ],
)
def test_callbacks_are_of_the_packages_types(own: Any, function: str, place: int) -> None:
    assert capi._FUNCTIONS[function][1][place] is own
    theirs = getattr(package, f"_{function}").argtypes[place]
    mine = (own._restype_, *own._argtypes_)
    known = (theirs._restype_, *theirs._argtypes_)
    assert len(mine) == len(known)
    for a, b in zip(mine, known, strict=True):
        # a pointer that is returned is a number to the package
        assert (a is None) == (b is None)
        assert a is None or ctypes.sizeof(a) == ctypes.sizeof(b)


# --- calls of the host ----------------------------------------------------------------------


def test_a_handler_gets_signed_numbers_and_the_callers_memory(wat: Assemble) -> None:
    seen: list[object] = []

    def handler(caller: Caller, number: int, pointer: int) -> int:
        memory = caller.memory()
        assert memory is not None
        address, size = memory
        seen.extend([number, size, ctypes.string_at(address + pointer, 5)])
        return 42

    assert run(wat(CALLING), handler) == 42
    assert seen == [-7, 2 * 65536, b"hello"]


def test_a_guest_without_a_memory_has_none(wat: Assemble) -> None:
    seen: list[object] = []

    def handler(caller: Caller, *_: int) -> int:
        seen.append(caller.memory())
        return 0

    text = """(module
      (import "host" "f" (func $f (param i32 i32) (result i32)))
      (global (export "memory") i32 (i32.const 1))
      (func (export "_start") (drop (call $f (i32.const 1) (i32.const 2)))))"""
    assert run(wat(text), handler) == 0
    assert seen == [None]


class MarkedError(Exception):
    pass


def test_what_a_handler_raises_ends_the_guest_and_comes_back_unchanged(wat: Assemble) -> None:
    error = MarkedError()

    def handler(_: Caller, *__: int) -> int:
        raise error

    error.__cause__ = ValueError("why")
    with pytest.raises(MarkedError) as raised:
        run(wat(CALLING), handler)
    assert raised.value is error
    assert str(error.__cause__) == "why"
    assert error.__context__ is None


def test_guests_side_by_side_get_their_own_errors(wat: Assemble) -> None:
    code, engine = wat(CALLING), Engine()
    together = threading.Barrier(4)
    found: dict[int, list[object]] = {}

    def one(number: int) -> None:
        def handler(_: Caller, *__: int) -> int:
            together.wait(10)
            raise MarkedError(number)

        for _ in range(20):
            try:
                run(code, handler, engine)
            except MarkedError as e:
                found.setdefault(number, []).append(e.args[0])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [number] * 20 for number in range(4)}


PRINTING = """(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\05\\00\\00\\00")
  (func (export "_start")
    (call $exit (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""


def test_handlers_and_streams_are_let_go_with_what_uses_them(wat: Assemble) -> None:
    gc.collect()
    before = len(linker_module._handlers._kept)
    for _ in range(30):
        run(wat(CALLING), lambda *_: 0)
        # its stream is served by a thread of wasmtime's
        assert run(wat(PRINTING), lambda *_: 0) == 0
        assert not core_wasi._sinks._kept
    gc.collect()
    assert len(linker_module._handlers._kept) == before


# --- how a guest ends -----------------------------------------------------------------------


def test_a_trap_says_why(wat: Assemble) -> None:
    with pytest.raises(Trap, match="wasm `unreachable` instruction executed"):
        run(wat('(module (func (export "_start") unreachable))'), lambda *_: 0)


def test_a_start_function_with_parameters_is_no_crash(wat: Assemble) -> None:
    with pytest.raises(Trap, match="expected 1 arguments"):
        run(wat('(module (func (export "_start") (param i32)))'), lambda *_: 0)


def test_a_start_function_may_have_results(wat: Assemble) -> None:
    text = '(module (func (export "_start") (result i32 i64) (i32.const 1) (i64.const 2)))'
    assert run(wat(text), lambda *_: 0) == 0


def test_an_exit_code_passes_through(wat: Assemble) -> None:
    assert run(wat(CALLING), lambda *_: 7) == 7


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(Refused, match=r"unexpected end|failed to parse"):
        Module.compiled(Engine(), b"\0asm\1\0\0\0\1")


def test_machine_code_of_other_settings_is_refused(wat: Assemble) -> None:
    code = Module.compiled(Engine(fuel=True), wat(CALLING)).serialize()
    assert Module.restored(Engine(fuel=True), code).functions() == {"_start": (0, 0)}
    with pytest.raises(Refused, match="fuel"):
        Module.restored(Engine(), code)
    with pytest.raises(Refused):
        Module.restored(Engine(), b"junk")


def test_imports_and_functions_of_a_module(wat: Assemble) -> None:
    text = """(module
      (import "a" "f" (func (param i32 i64 f32)))
      (import "b" "m" (memory 1))
      (func (export "run") (param i32) (result i64 i64) unreachable)
      (global (export "g") i32 (i32.const 0)))"""
    module = Module.compiled(Engine(), wat(text))
    assert module.imports() == [("a", "f", 3), ("b", "m", -1)]
    assert module.functions() == {"run": (1, 2)}


def test_a_name_is_defined_once(wat: Assemble) -> None:
    engine = Engine()
    linker = Linker(engine)
    linker.define("host", "f", 0, lambda *_: 0)
    assert linker.has(Store(engine), "host", "f")
    assert not linker.has(Store(engine), "host", "g")
    with pytest.raises(Refused, match="defined twice"):
        linker.define("host", "f", 0, lambda *_: 0)


@pytest.mark.parametrize("error", [OSError("the reader went away"), SystemExit(3)])
def test_a_stream_that_fails_is_an_error_for_the_guest_alone(
    wat: Assemble, error: BaseException
) -> None:
    def broken(_: bytes) -> None:
        raise error

    engine, lent = Engine(), Lent()
    linker, store = Linker(engine), Store(engine)
    linker.define_wasi()
    store.set_limits(memory=1 << 20, table=10, instances=1, tables=99, memories=99, fuel=None)
    store.set_epoch_deadline(1)
    core_wasi.give(store, Setup((), ("guest",), (), b"", broken, broken), lent)
    with pytest.raises(Exited) as ended:
        linker.link(Module.compiled(engine, wat(PRINTING))).run(store)
    assert ended.value.code == 29  # WASI's EIO
    store.close()
    lent.wait()


def test_a_folder_that_is_not_there_cannot_be_given(tmp_path: Path) -> None:
    from wasmlrun.manifest.manifest import Mount

    store = Store(Engine())
    mount = Mount(tmp_path / "none", "/none")
    with pytest.raises(Refused, match="none at /none"):
        core_wasi.give(store, Setup((mount,), ("guest",), (), b"", None, None), Lent())


def test_without_the_library_the_error_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> Path:
        raise Refused("the wasmtime package is not installed")

    monkeypatch.setattr(capi, "library_path", missing)
    capi.library.cache_clear()
    with pytest.raises(Refused, match="not installed"):
        Engine()
    capi.library.cache_clear()
