"""A worker: a WebAssembly command, compiled once, run in a fresh sandboxed instance each time.

The instance gets the mounts and variables of its Grant, its standard input as bytes, and the
host functions of WASI and, where granted, of WASI-NN. There is no network and nothing is
inherited. Traps, exits and limits become typed errors.
"""

from __future__ import annotations

import ctypes
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from wasmtime import (
    Config,
    Engine,
    ExitTrap,
    Func,
    FuncType,
    Linker,
    Module,
    Store,
    Trap,
    WasiConfig,
    WasmtimeError,
)

from wasmlrun import nn
from wasmlrun.cache import Cache
from wasmlrun.errors import BadWorker, LimitExceeded, WorkerFailed
from wasmlrun.grant import Grant
from wasmlrun.limits import Limits, timeout_error
from wasmlrun.outcome import GuestRun
from wasmlrun.precompile import compiled
from wasmlrun.session import Session

_CORE = b"\0asm\x01\0\0\0"
_WASI = "wasi_snapshot_preview1"


class Runtime:
    """The WebAssembly engine and the clock that interrupts its guests."""

    def __init__(self, limits: Limits, cache: Cache | None = None) -> None:
        config = Config()
        config.epoch_interruption = True
        self.engine = Engine(config)
        self.configuration = "epochs"
        self.limits = limits
        self.cache = cache or Cache(None)
        self._timed_out = threading.Event()

    @property
    def timed_out(self) -> bool:
        """Whether the time is over."""
        return self._timed_out.is_set()

    def start_clock(self, deadline: float) -> None:
        """Interrupt guests at `deadline`, a time of the monotonic clock."""

        def ring() -> None:
            time.sleep(max(0.0, deadline - time.monotonic()))
            self._timed_out.set()
            self.engine.increment_epoch()

        threading.Thread(target=ring, daemon=True).start()


class Worker:
    """A compiled module and what it imports."""

    def __init__(self, runtime: Runtime, path: Path) -> None:
        """Read and compile.

        Raises:
            BadWorker: no such file, no WebAssembly, or not a program.
        """
        self.path = path
        self._runtime = runtime
        self._module = _compile(runtime, path)
        self._imports = list(_imports(self._module))
        if not any(export.name == "_start" for export in self._module.exports):
            raise BadWorker(
                f"worker {path} exports no _start function",
                "build it as a WASI command: a program with main, for target wasm32-wasi",
            )

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""
        return any(module in nn.MODULES for module, _, _ in self._imports)

    def linked(self, grant: Grant) -> LinkedWorker:
        """Provide its imports as far as the grant allows.

        Raises:
            BadWorker: an import that nobody provides.
        """
        return LinkedWorker(self._runtime, self.path, self._module, self._imports, grant)


class LinkedWorker:
    """A worker with its imports provided; runs one instance at a time."""

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        module: Module,
        imports: Sequence[tuple[str, str, int]],
        grant: Grant,
    ) -> None:
        self._runtime = runtime
        self._path = path
        self._grant = grant
        self._nn = nn.CoreBinding()
        linker = Linker(runtime.engine)
        linker.define_wasi()
        if grant.nn:
            self._nn.define(linker, [i for i in imports if i[0] in nn.MODULES])
        _check_imports(path, imports, grant, linker, Store(runtime.engine))
        try:
            self._instance = linker.instantiate_pre(module)
        except WasmtimeError as e:
            raise BadWorker(f"worker {path} cannot be linked: {_sentence(e)}") from e

    def run(
        self,
        *,
        session: Session | None,
        arguments: Sequence[str] = (),
        environ: Sequence[tuple[str, str]] = (),
        stdin: bytes | None = None,
        stdout: Callable[[bytes], None] | None = None,
        stderr: Callable[[bytes], None] | None = None,
        inherit: bool = False,
    ) -> GuestRun:
        """Run a fresh instance to its end.

        Without `stdout` the guest's output is kept in the result. With `inherit` the guest has
        this process's own streams; its output is counted only if there is a limit.

        Raises:
            WorkerFailed: it trapped. LimitExceeded: it reached a limit.
        """
        runtime = self._runtime
        output = _Output(runtime.limits.output)
        wasi = WasiConfig()
        wasi.argv = [self._path.name, *arguments]
        wasi.env = [*self._grant.environ.items(), *environ]
        kept: list[bytes] = []
        if inherit and stdin is None:
            wasi.inherit_stdin()
        else:
            _stdin_bytes(wasi, stdin or b"")
        if inherit and runtime.limits.output is None:
            wasi.inherit_stdout()
            wasi.inherit_stderr()
        else:
            if inherit:
                stdout, stderr = _to_descriptor(1), _to_descriptor(2)
            wasi.stdout_custom = output.to(stdout or kept.append)
            wasi.stderr_custom = output.to(stderr or (lambda data: None))
        for mount in self._grant.mounts:
            try:
                wasi.preopen_dir(str(mount.host), mount.guest, mount.writable)
            except WasmtimeError as e:
                raise BadWorker(
                    f"folder {mount.host} cannot be mounted at {mount.guest}: {_sentence(e)}"
                ) from e
        store = Store(runtime.engine)
        store.set_wasi(wasi)
        store.set_limits(memory_size=runtime.limits.memory)
        # the first tick of the epoch ends the guest; none comes before the time is over
        store.set_epoch_deadline(1)
        self._nn.session = session
        try:
            exit_code = self._start(store)
        finally:
            self._nn.session = None
            store.close()
        if output.exceeded:
            raise output.error()
        return GuestRun(
            b"".join(kept),
            exit_code,
            session.last_output if session else None,
            session.failure if session else None,
        )

    def _start(self, store: Store) -> int:
        runtime = self._runtime
        if runtime.timed_out:
            raise timeout_error(runtime.limits)
        try:
            instance = self._instance.instantiate(store)
            start = instance.exports(store)["_start"]
            assert isinstance(start, Func)
            start(store)
        except ExitTrap as e:
            return int(e.code)
        except (Trap, WasmtimeError) as e:
            if runtime.timed_out:
                raise timeout_error(runtime.limits) from e
            raise self._trapped(e) from e
        return 0

    def _trapped(self, error: Trap | WasmtimeError) -> WorkerFailed | LimitExceeded:
        sentence = _sentence(error)
        if "memory" in sentence and "exceeds" in sentence:
            return LimitExceeded(
                f"worker {self._path.name} wants more than the memory limit of "
                f"{self._runtime.limits.memory} bytes: {sentence}",
                "raise it with --max-memory",
            )
        return WorkerFailed(f"worker {self._path.name} trapped: {sentence}")


class _Output:
    """Counts what a guest writes and cuts it off at the limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._written = 0
        self.exceeded = False

    def to(self, sink: Callable[[bytes], None]) -> Callable[[bytes], int | None]:
        def write(data: bytes) -> int | None:
            self._written += len(data)
            if self._limit is not None and self._written > self._limit:
                self.exceeded = True
                return -5  # EIO, to the guest
            sink(data)
            return None

        return write

    def error(self) -> LimitExceeded:
        return LimitExceeded(
            f"the worker wrote more than the output limit of {self._limit} bytes",
            "raise it with --max-output",
        )


def _to_descriptor(number: int) -> Callable[[bytes], None]:
    def write(data: bytes) -> None:
        while data:
            data = data[os.write(number, data) :]

    return write


def _compile(runtime: Runtime, path: Path) -> Module:
    try:
        code = path.read_bytes()
    except FileNotFoundError:
        raise BadWorker(f"worker {path} does not exist") from None
    except IsADirectoryError:
        raise BadWorker(f"worker {path} is a folder", "name the .wasm file in it") from None
    except OSError as e:
        raise BadWorker(f"worker {path} cannot be read: {e.strerror}") from e
    if not code.startswith(_CORE):
        raise BadWorker(
            f"worker {path} is not a WebAssembly module",
            "a module starts with the bytes 00 61 73 6d 01 00 00 00",
        )
    try:
        return compiled(
            runtime.cache,
            runtime.engine,
            runtime.configuration,
            code,
            f"worker {path.name}",
            Module,
            Module.deserialize,
        )
    except WasmtimeError as e:
        raise BadWorker(f"worker {path} is not valid WebAssembly: {_sentence(e)}") from e


def _imports(module: Module) -> Iterator[tuple[str, str, int]]:
    """(module, name, number of parameters) of each import; -1 for what is no function."""
    for item in module.imports:
        arity = len(item.type.params) if isinstance(item.type, FuncType) else -1
        yield item.module, item.name or "", arity


def _check_imports(
    path: Path,
    imports: Sequence[tuple[str, str, int]],
    grant: Grant,
    linker: Linker,
    store: Store,
) -> None:
    wants_nn = [i for i in imports if i[0] in nn.MODULES]
    if wants_nn and not grant.nn:
        raise BadWorker(
            f"worker {path} uses WASI-NN ({wants_nn[0][0]}.{wants_nn[0][1]}) and "
            f"{grant.said_by} does not allow it",
            'add to the manifest: [features.wasi_nn] allowed_backends = ["openvino"]'
            if grant.said_by != "the command line"
            else "leave out --no-nn",
        )
    missing = []
    for module, name, arity in imports:
        try:
            linker.get(store, module, name)
        except WasmtimeError:
            missing.append(f"{module}.{name}" + (f" ({arity} arguments)" if arity >= 0 else ""))
    if missing:
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadWorker(
            f"worker {path} imports what nobody provides here: {', '.join(missing[:3])}{others}",
            f"provided are {_WASI} and WASI-NN ({', '.join(nn.MODULES)})",
        )


def _stdin_bytes(wasi: WasiConfig, data: bytes) -> None:
    # wasmtime's C API takes stdin as bytes; its Python class has only files for it
    from wasmtime import _ffi as ffi

    vector = ffi.wasm_byte_vec_t()
    buffer = ctypes.cast(ctypes.c_char_p(data), ctypes.POINTER(ffi.wasm_byte_t))
    ffi.wasm_byte_vec_new(ctypes.byref(vector), len(data), buffer)
    # takes ownership of the vector
    ffi.wasi_config_set_stdin_bytes(wasi.ptr(), ctypes.byref(vector))


def _sentence(error: Trap | WasmtimeError) -> str:
    """What wasmtime says, in one line: the head and the causes, without the backtrace."""
    text = error.message if isinstance(error, Trap) else str(error)
    head, _, causes = text.partition("Caused by:")
    lines = [] if head.startswith("error while executing") else [head.strip().splitlines()[0]]
    for line in causes.splitlines():
        sentence = re.sub(r"^\s*(\d+: )?(wasm trap: )?", "", line).strip()
        if sentence:
            lines.append(sentence)
    return "; ".join(lines)[:400] or "no reason given"
