"""Guests as WebAssembly text: WASI programs, and scripts of WASI-NN calls with odd arguments."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import wasmtime

from kit.fakes import FakeEngine
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import ModelSource
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

PAGE = 65536
# where a script keeps what it is told to write; the log of error numbers is at the end
LOG = 60000

# WASI functions that guests here may call
_WASI = """
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
"""


def _segments(data: Mapping[int, bytes]) -> str:
    lines = []
    for address, content in data.items():
        escaped = "".join(f"\\{byte:02x}" for byte in content)
        lines.append(f'(data (i32.const {address}) "{escaped}")')
    return "\n".join(lines)


def program(body: str, *, before: str = "", data: Mapping[int, bytes] | None = None) -> str:
    """A WASI program: `body` is its `_start`; `before` its further imports."""
    return f"""(module {_WASI} {before}
  (memory (export "memory") 1)
  {_segments(data or {})}
  (func (export "_start") {body}))"""


def printing(text: str | bytes, *, descriptor: int = 1, then: str = "") -> str:
    """A program that writes a text, to stderr with descriptor 2, and does `then`."""
    content = text.encode() if isinstance(text, str) else text
    return program(
        f"(drop (call $fd_write (i32.const {descriptor}) (i32.const 0) (i32.const 1) "
        f"(i32.const 8))) {then}",
        data={0: struct.pack("<II", 16, len(content)), 16: content},
    )


EXIT_7 = program("(call $proc_exit (i32.const 7))")
TRAP = program("unreachable")
ENDLESS = program("(loop $again (br $again))")


@dataclass(frozen=True)
class At:
    """An argument that the guest reads from its memory when it makes the call."""

    address: int


Call = tuple[object, ...]


def script(
    calls: Sequence[Call], memory: Mapping[int, bytes], *, module: str = "wasi_ephemeral_nn"
) -> str:
    """A program that makes these calls, (function, arguments…), and notes each error number.

    At the end it writes its whole first page of memory to stdout.
    """
    wanted = dict.fromkeys((str(name), len(arguments)) for name, *arguments in calls)
    imports = "\n".join(
        f'(import "{module}" "{name}" (func ${name}{arity} (param {"i32 " * arity}) (result i32)))'
        for name, arity in wanted
    )
    lines = []
    for number, (name, *arguments) in enumerate(calls):
        values = " ".join(
            f"(i32.load (i32.const {a.address}))" if isinstance(a, At) else f"(i32.const {a})"
            for a in arguments
        )
        lines.append(
            f"(i32.store (i32.const {LOG + 4 * number}) (call ${name}{len(arguments)} {values}))"
        )
    lines.append("(i32.store (i32.const 65520) (i32.const 0))")
    lines.append(f"(i32.store (i32.const 65524) (i32.const {PAGE}))")
    lines.append(
        "(drop (call $fd_write (i32.const 1) (i32.const 65520) (i32.const 1) (i32.const 65528)))"
    )
    return program("\n".join(lines), before=imports, data=memory)


@dataclass(frozen=True)
class Played:
    """What a script did."""

    errnos: list[int]
    memory: bytes
    run: GuestRun
    session: Session
    warnings: list[str]

    def u32(self, address: int) -> int:
        """A number in the guest's memory when it ended."""
        return int(struct.unpack_from("<I", self.memory, address)[0])

    def floats(self, address: int, count: int) -> tuple[float, ...]:
        """f32 numbers in the guest's memory when it ended."""
        return struct.unpack_from(f"<{count}f", self.memory, address)

    @property
    def sentence(self) -> str:
        """What a person is told about the last failed call; empty without one."""
        return self.run.failure.message if self.run.failure else ""


class Player:
    """Runs scripts of WASI-NN calls; the engine of WebAssembly is shared by all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runtime = Runtime(Limits())

    def __call__(
        self,
        calls: Sequence[Call],
        memory: Mapping[int, bytes],
        *,
        engine: Engine | None = None,
        models: Mapping[str, ModelSource] | None = None,
        module: str = "wasi_ephemeral_nn",
        nhwc_input: bool = False,
        strict_device: bool = False,
    ) -> Played:
        """Run a script."""
        warnings: list[str] = []
        run, session = self.run(
            script(calls, memory, module=module),
            engine or FakeEngine(),
            models or {},
            warnings.append,
            nhwc_input=nhwc_input,
            strict_device=strict_device,
        )
        errnos = list(struct.unpack_from(f"<{len(calls)}i", run.stdout, LOG))
        return Played(errnos, run.stdout, run, session, warnings)

    def run(
        self,
        wat: str,
        engine: Engine,
        models: Mapping[str, ModelSource],
        warn: Callable[[str], None] = lambda text: None,
        *,
        nhwc_input: bool = False,
        strict_device: bool = False,
    ) -> tuple[GuestRun, Session]:
        """Run a program that may use WASI-NN."""
        path = self._folder / "script.wasm"
        path.write_bytes(wasmtime.wat2wasm(wat))
        engines = EnginePool.of(engine, strict_device=strict_device, warn=warn)
        pool = GraphPool(engines, Board())
        session = Session(pool, models, nhwc_input=nhwc_input)
        try:
            run = Worker(self._runtime, path).linked(Grant(nn=True)).run(session=session)
        finally:
            session.close()
            pool.close()
        return run, session


def record(
    dims: int, rank: int, kind: int, data: int, size: int, padding: bytes = b"\0\0\0"
) -> bytes:
    """The tensor record of `wasi_ephemeral_nn`."""
    return struct.pack("<IIB3sII", dims, rank, kind, padding, data, size)


def u32s(*values: int) -> bytes:
    """Numbers as a guest's memory has them."""
    return struct.pack(f"<{len(values)}I", *values)


def f32s(*values: float) -> bytes:
    """Numbers as a guest's memory has them."""
    return struct.pack(f"<{len(values)}f", *values)
