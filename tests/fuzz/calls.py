"""WASI-NN calls with random pointers, lengths, handles and types, thousands to an instance.

The guest reads records of (function, five arguments) from its stdin and makes the calls. Every
read and write of the host in the guest's memory is checked here again, by other means.
"""

from __future__ import annotations

import ctypes
import struct
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import wasmtime
from kit.fakes import FakeEngine
from kit.models_by_hand import identity_ir
from wasmtime import _ffi as ffi

from fuzz import bases
from fuzz.mutate import edge
from fuzz.target import ACCEPTED, REFUSED, Broken, Target
from wasmlrun.engines.openvino import create
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Settings
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.wasi_nn import core
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session
from wasmlrun.wasmtime_c import guest_memory

PAGES = 4
# limits end the guest, and its other calls would not be made
_NO_LIMITS = Limits(graphs=1 << 30, contexts=1 << 30)
CALLS = 2000
_RECORD = 24
FUNCTIONS = {
    "wasi_ephemeral_nn": {
        "load": 5,
        "load_by_name": 3,
        "load_by_name_with_config": 5,
        "init_execution_context": 2,
        "set_input": 3,
        "compute": 1,
        "compute_single": 1,
        "get_output": 5,
        "get_output_single": 5,
        "fini_single": 1,
        "unload": 1,
        "finalize_execution_context": 1,
    },
    "wasi_nn": {
        "load": 4,
        "init_execution_context": 2,
        "set_input": 3,
        "compute": 1,
        "get_output": 4,
    },
}

# where things lie in the guest's memory; what is read from stdin goes after the first page
DIMS, TENSOR, NAME, BUILDERS, RESULT, DATA, MODEL = 16, 64, 256, 320, 512, 1024, 4096
_STDIN = 65536


def everything(module: str) -> str:
    """A guest that imports every function of a module and calls what its stdin says."""
    functions = FUNCTIONS[module]
    imports = "\n".join(
        f'(import "{module}" "{name}" (func ${name} (param {"i32 " * arity}) (result i32)))'
        for name, arity in functions.items()
    )
    labels = " ".join(f"$f{n}" for n in range(len(functions)))
    opening = " ".join(f"(block $f{n}" for n in reversed(range(len(functions))))
    cases = "\n".join(
        f") (drop (call ${name} "
        + " ".join(f"(i32.load offset={4 + 4 * a} (local.get $at))" for a in range(arity))
        + ")) (br $next)"
        for name, arity in functions.items()
    )
    data = "\n".join(_segment(at, content) for at, content in memory().items())
    return f"""(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  {imports}
  (memory (export "memory") {PAGES})
  {data}
  (func (export "_start") (local $at i32) (local $end i32)
    (local.set $at (i32.const {_STDIN}))
    (loop $more
      (i32.store (i32.const 0) (local.get $at))
      (i32.store (i32.const 4) (i32.const {65536 * (PAGES - 1)}))
      (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
      (br_if $more (i32.load (i32.const 8))))
    (local.set $end (local.get $at))
    (local.set $at (i32.const {_STDIN}))
    (loop $calls
      (block $next
        (block $default
          {opening} (br_table {labels} $default (i32.load (local.get $at)))
          {cases}
        ))
      (local.set $at (i32.add (local.get $at) (i32.const {_RECORD})))
      (br_if $calls (i32.lt_u (local.get $at) (local.get $end))))))"""


def _segment(at: int, content: bytes) -> str:
    escaped = "".join(f"\\{byte:02x}" for byte in content)
    return f'(data (i32.const {at}) "{escaped}")'


def memory() -> dict[int, bytes]:
    """A valid model, name, tensor: what a random call may hit upon."""
    xml, weights = identity_ir("f32", (1, 4))
    onnx = bases.onnx()
    at = MODEL + len(onnx)
    builders = (MODEL, len(onnx), at, len(xml), at + len(xml), len(weights))
    return {
        DIMS: struct.pack("<6I", 1, 4, 1, 3, 8, 8),
        TENSOR: struct.pack("<IIB3sII", DIMS, 2, 1, b"\0\0\0", DATA, 16),
        TENSOR + 20: struct.pack("<IIB3sII", DIMS + 8, 4, 1, b"\0\0\0", DATA, 768),
        TENSOR + 40: struct.pack("<III", TENSOR + 52, 1, DATA),
        TENSOR + 52: struct.pack("<II", DIMS, 2),
        NAME: b"one\xff",
        BUILDERS: struct.pack("<6I", *builders),
        BUILDERS + 24: struct.pack("<II", BUILDERS, 1),
        BUILDERS + 32: struct.pack("<II", BUILDERS + 8, 2),
        MODEL: onnx + xml + weights,
    }


class Calls(Target[bytes]):
    """Random calls over a fake engine or the real one."""

    def __init__(self, module: str, *, real: bool) -> None:
        super().__init__()
        self.name = f"calls-{module}-{'openvino' if real else 'fake'}"
        self._module = module
        self._real = real
        self._calls = CALLS if not real else CALLS // 4
        self.seconds = 60.0

    def begin(self, folder: Path) -> None:
        """Assemble the guest; load the engine."""
        self._path = folder / "calls.wasm"
        self._path.write_bytes(wasmtime.wat2wasm(everything(self._module)))
        self._runtime = Runtime(Limits())
        self._worker = Worker(self._runtime, self._path)
        self._engine = create(Settings()) if self._real else FakeEngine()
        xml, weights = identity_ir("f32", (1, 4))
        self._models = {"one": ModelSource(Encoding.OPENVINO, (xml, weights))}

    def make(self, random: Random) -> bytes:
        """Records of calls."""
        functions = list(FUNCTIONS[self._module].items())
        # loading takes the real engine long; what is freed at once is of no use to other calls
        weights = [_WEIGHTS.get(name, 8) if self._real else 8 for name, _ in functions]
        names = [name for name, _ in functions]
        out = bytearray()
        if random.random() < 0.9:
            for number, *arguments in _prologue(names):
                out += struct.pack("<6I", number, *arguments)
        for number in random.choices(range(len(functions)), weights, k=self._calls):
            name, arity = functions[number]
            likely = _LIKELY.get(name if arity != 4 else f"legacy {name}", ())
            arguments = [
                random.choice(likely[a])
                if a < len(likely) and random.random() < 0.8
                else _anything(random)
                for a in range(5)
            ]
            out += struct.pack("<6I", number, *(a & 0xFFFFFFFF for a in arguments))
        return bytes(out)

    def feed(self, value: bytes) -> str:
        """Make the calls in one instance."""
        pool = GraphPool(EnginePool.of(self._engine), Board())
        session = Session(pool, self._models, nhwc_input=value[-1] == 1, limits=_NO_LIMITS)
        try:
            with checked_memory(self.tally):
                self._worker.linked(Grant(nn=True)).run(session=session, stdin=value)
        except WasmlrunError:
            return REFUSED
        finally:
            session.close()
            pool.close()
        return ACCEPTED

    def read(self, data: bytes) -> bytes:
        """Whole records, one at least."""
        return data[: len(data) // _RECORD * _RECORD] or bytes(_RECORD)

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """`wasmlrun run calls.wasm < stdin`"""
        return {
            "calls.wasm": bytes(wasmtime.wat2wasm(everything(self._module))),
            "stdin": value,
        }


_WEIGHTS = {"load": 1, "load_by_name": 1, "load_by_name_with_config": 1, "unload": 1}
_WEIGHTS["finalize_execution_context"] = 1


def _prologue(names: list[str]) -> list[tuple[int, ...]]:
    """Calls that succeed: a graph, a context, an input, a computation."""
    if "load_by_name" not in names:
        load = (names.index("load"), BUILDERS + 32, 0, 0, RESULT, 0)
    else:
        load = (names.index("load_by_name"), NAME, 3, RESULT, 0, 0)
    tensor = TENSOR if "load_by_name" in names else TENSOR + 40
    return [
        load,
        (names.index("init_execution_context"), 1, RESULT, 0, 0, 0),
        (names.index("init_execution_context"), 1, RESULT, 0, 0, 0),
        (names.index("set_input"), 2, 0, tensor, 0, 0),
        (names.index("compute"), 2, 0, 0, 0, 0),
    ]


_HANDLES = (0, 1, 1, 2, 2, 2, 2, 3, 3, *range(4, 30))
_LIKELY: dict[str, tuple[tuple[int, ...], ...]] = {
    "load": (
        (BUILDERS, BUILDERS + 8),
        (1, 1, 2),
        (0, 0, 1, 1, 4, 5, 6),
        (0, 1, 3),
        (RESULT,),
    ),
    "legacy load": ((BUILDERS + 24, BUILDERS + 32), (0, 1, 5), (0, 1), (RESULT,)),
    "load_by_name": ((NAME,), (3, 4), (RESULT,)),
    "load_by_name_with_config": ((NAME,), (3,), (NAME,), (0, 3), (RESULT,)),
    "init_execution_context": (_HANDLES, (RESULT,)),
    "set_input": (_HANDLES, (0, 0, 1), (TENSOR, TENSOR + 20, TENSOR + 40)),
    "compute": (_HANDLES,),
    "compute_single": (_HANDLES,),
    "get_output": (_HANDLES, (0, 0, 1), (DATA,), (16, 20, 4096), (RESULT,)),
    "legacy get_output": (_HANDLES, (0, 0, 1), (DATA,), (RESULT, DIMS)),
    "get_output_single": (_HANDLES, (0, 1), (DATA,), (16, 4096), (RESULT,)),
    "fini_single": (_HANDLES,),
    "unload": (_HANDLES,),
    "finalize_execution_context": (_HANDLES,),
}


def _anything(random: Random) -> int:
    kind = random.random()
    end = 65536 * PAGES
    if kind < 0.3:
        return end - random.choice((0, 1, 3, 4, 8, 19, 20, 100))
    if kind < 0.5:
        return 0xFFFFFFFF - random.choice((0, 1, 3, 4, 19, 65535, end))
    if kind < 0.8:
        return edge(random)
    return random.getrandbits(32) if kind < 0.9 else random.randrange(end)


class _Checked:
    """Stands in for ctypes in the binding: refuses what is outside the guest's memory."""

    def __init__(self) -> None:
        self.low, self.high = 0, 0

    def string_at(self, address: int, size: int) -> bytes:
        self._check(address, size)
        return ctypes.string_at(address, size)

    def memmove(self, address: int, data: bytes, size: int) -> None:
        self._check(address, size)
        ctypes.memmove(address, data, size)

    def _check(self, address: int, size: int) -> None:
        if not self.low <= address <= address + size <= self.high:
            # an exception of its own kind: nothing in the program catches it
            raise Broken(f"{size} bytes at {address - self.low} of {self.high - self.low}")


def _range_of_memory(caller: Any) -> tuple[int, int]:
    """Where the guest's memory begins and ends, by the wasmtime package's own declarations."""
    pointer = ctypes.cast(caller._pointer, ctypes.POINTER(ffi.wasmtime_caller_t))
    found = ffi.wasmtime_extern_t()
    name = ctypes.create_string_buffer(b"memory")
    if not ffi.wasmtime_caller_export_get(pointer, name, 6, ctypes.byref(found)):
        return 0, 0
    context, memory = ffi.wasmtime_caller_context(pointer), ctypes.byref(found.of.memory)
    low = ctypes.addressof(ffi.wasmtime_memory_data(context, memory).contents)
    return low, low + ffi.wasmtime_memory_data_size(context, memory)


@contextmanager
def checked_memory(tally: Counter[str]) -> Iterator[None]:
    """For the block, whatever the host does to a guest's memory is checked a second time.

    Calls are counted in `tally`.
    """
    checked = _Checked()
    binding: Any = core  # parts of both are exchanged
    module: Any = guest_memory
    original = module.ctypes

    class Noticed(binding.GuestMemory):  # type: ignore[misc]
        def __init__(self, caller: Any) -> None:
            checked.low, checked.high = _range_of_memory(caller)
            tally["calls"] += 1
            super().__init__(caller)

    before = binding.GuestMemory
    module.ctypes, binding.GuestMemory = checked, Noticed
    try:
        yield
    finally:
        module.ctypes, binding.GuestMemory = original, before
