"""Mutated WebAssembly, compiled and run in a sandbox with a folder, WASI and WASI-NN."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from pathlib import Path
from random import Random

import wasmtime
from kit import core_guests as guests
from kit.component_guests import (
    BY_CALLS,
    BY_LIST,
    DATA,
    DIMS,
    LOCALS,
    PRINT_DATA,
    component,
    computed,
    opened,
    tensor,
)
from kit.fakes import FakeEngine

from fuzz.calls import everything
from fuzz.mutate import mutated, mutated_text
from fuzz.target import ACCEPTED, REFUSED, Broken, Target
from wasmlrun.engines.pool import EnginePool
from wasmlrun.manifest.grant import Grant
from wasmlrun.manifest.manifest import Mount
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

_SAMPLES = Path(__file__).parents[2] / "samples"
_MODEL = ModelSource(Encoding.ONNX, (b"\x08one",))
LIMITS = Limits(timeout=0.2, memory=32 << 20, output=1 << 16)


def _component(version: str) -> str:
    given = tensor(2, 16)
    body = f"{opened()} {computed(version, given)} {PRINT_DATA} (i32.const 0)"
    data = {DIMS: struct.pack("<2I", 1, 4), DATA: bytes(16)}
    return component(body, version, data=data, locals_=LOCALS)


class Wasm(Target[bytes]):
    """Workers."""

    name = "wasm"

    def __init__(self) -> None:
        super().__init__()
        texts = [
            guests.printing("hello"),
            guests.EXIT_7,
            guests.ENDLESS,
            _FILES,
            everything("wasi_ephemeral_nn"),
            *map(_component, (BY_CALLS[0], BY_LIST[0])),
        ]
        self._texts = texts
        self._bases = [bytes(wasmtime.wat2wasm(text)) for text in texts]
        for name in ("mobilenet/mobilenet.wasm", "workers/assemblyscript/classify.wasm"):
            if (_SAMPLES / name).exists():
                self._bases.append((_SAMPLES / name).read_bytes())

    def begin(self, folder: Path) -> None:
        """A read-only and a writable mount, and what lies beside them."""
        self._folder = folder / "guest"
        for name in ("read", "write", "outside"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        (self._folder / "read" / "file").write_text("readable")
        (self._folder / "outside" / "secret").write_text("secret")
        link = self._folder / "read" / "link"
        if not link.is_symlink():
            link.symlink_to("../outside")
        self._before = self._digest()

    def make(self, random: Random) -> bytes:
        """A mutated module: its bytes, or its text."""
        if random.random() < 0.4:
            try:
                return bytes(wasmtime.wat2wasm(mutated_text(random.choice(self._texts), random)))
            except (wasmtime.WasmtimeError, ValueError):
                pass
        return mutated(random.choice(self._bases), random)

    def feed(self, value: bytes) -> str:
        """Compile and run it."""
        path = self._folder / "worker.wasm"
        path.write_bytes(value)
        pool = GraphPool(EnginePool.of(FakeEngine()), Board())
        session = Session(pool, {"one": _MODEL})
        mounts = (
            Mount(self._folder / "read", "/read"),
            Mount(self._folder / "write", "/write", True),
        )
        try:
            linked = Worker(Runtime(LIMITS), path).linked(Grant(mounts, {"A": "b"}, nn=True))
            linked.run(session=session, clock=Clock.after(LIMITS.timeout), stdin=b"stdin")
        except WasmlrunError:
            return REFUSED
        finally:
            session.close()
            pool.close()
            if self._digest() != self._before:
                raise Broken("a file outside the writable folder changed")
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As `wasmlrun run` takes it."""
        return {"worker.wasm": value}

    def _digest(self) -> str:
        found = hashlib.sha256()
        for name in ("read", "outside"):
            for path in sorted((self._folder / name).rglob("*")):
                about = path.lstat()
                found.update(f"{path} {about.st_mode} {about.st_size} {about.st_mtime_ns}".encode())
                if path.is_file():
                    found.update(path.read_bytes())
        return found.hexdigest()


# opens, writes, renames and removes by paths that lie in its memory
_FILES = r"""(module
  (import "wasi_snapshot_preview1" "path_open" (func $open
    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_rename" (func $rename
    (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_unlink_file" (func $unlink
    (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_symlink" (func $symlink
    (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write
    (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "file../outside/secretlink/secretnew")
  (func (export "_start")
    (drop (call $open (i32.const 3) (i32.const 1) (i32.const 0) (i32.const 4)
      (i32.const 9) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 100)))
    (drop (call $open (i32.const 3) (i32.const 1) (i32.const 4) (i32.const 17)
      (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 100)))
    (drop (call $open (i32.const 4) (i32.const 1) (i32.const 32) (i32.const 3)
      (i32.const 1) (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 104)))
    (drop (call $write (i32.load (i32.const 104)) (i32.const 0) (i32.const 1) (i32.const 108)))
    (drop (call $rename (i32.const 3) (i32.const 0) (i32.const 4)
      (i32.const 4) (i32.const 32) (i32.const 3)))
    (drop (call $unlink (i32.const 3) (i32.const 21) (i32.const 11)))
    (drop (call $symlink (i32.const 4) (i32.const 17) (i32.const 4)
      (i32.const 32) (i32.const 3)))))"""
