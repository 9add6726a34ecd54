"""Workers that are core modules: compiling, providing imports, starting."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun import nn, wasmtime_c
from wasmlrun.manifest.grant import Grant, nn_refused, require_nn
from wasmlrun.sandbox import core_wasi
from wasmlrun.sandbox.clock import Clock, Epochs, Runtime, Trapped
from wasmlrun.sandbox.precompile import compiled
from wasmlrun.sandbox.setup import CannotMount, Lent, Setup, sentence
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.limits import Limits
from wasmlrun.support.process import memory_in_use
from wasmlrun.wasi_nn.session import Session

if TYPE_CHECKING:
    from wasmlrun.sandbox.core_streams import Streams

_MOST_READY = 10_000_000
"""Elements of a table that is kept ready."""


class CoreProgram:
    """A compiled module and what it imports."""

    def __init__(self, runtime: Runtime, path: Path, code: bytes, *, ahead: bool = False) -> None:
        """Compile; what was compiled `ahead` is only loaded.

        Raises:
            BadWorker: no WebAssembly, not a program, or machine code that is not to be run here.
        """
        self._runtime = runtime
        self._path = path
        fuel = runtime.limits.fuel is not None
        self.is_bytecode = False
        if ahead:
            self._engine, self._module, self.is_bytecode = _loaded(path, code, fuel=fuel)
        else:
            self._engine, self._module = _compiled(runtime, path, code, fuel=fuel)
        self._epochs = Epochs(self._engine.increment_epoch)
        self._imports = self._module.imports()
        functions = self._module.functions()
        self._entry = "_start"
        if runtime.many and "_start" not in functions and "_initialize" in functions:
            # a reactor: Wasm Workers Server's linker runs it so, and its kit for Zig makes such
            self._entry = "_initialize"
        start = functions.get(self._entry)
        if start is None or start[0]:
            what = "no _start function" if start is None else "a _start that wants arguments"
            raise BadWorker(
                f"worker {path} exports {what}",
                "build it as a WASI command: a program with main, for target wasm32-wasi",
            )
        self._results = start[1]

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""
        return any(module in nn.MODULES for module, _, _ in self._imports)

    def linked(self, grant: Grant) -> LinkedCore:
        """Provide its imports. Raises BadWorker for one that nobody provides."""
        linker, binding = wasmtime_c.Linker(self._engine), nn.CoreBinding()
        linker.define_wasi()
        streams = self._own_streams(grant, linker) if self._runtime.many else None
        of_nn = [i for i in self._imports if i[0] in nn.MODULES]
        if grant.nn:
            binding.define(linker, of_nn)
        elif grant.interpreter:
            for module, name, arity in of_nn:
                refusal = nn_refused(grant, self._path, f"{module}.{name}")
                linker.define(module, name, arity, partial(_refuse, refusal))
        if any(i[0] == "http" for i in self._imports):
            from wasmlrun.sandbox import http_abi, http_requests  # only here: few ask for it

            http_abi.define(linker, http_requests.sender(grant.http))
        _check_imports(self._path, self._imports, grant, linker, wasmtime_c.Store(self._engine))
        try:
            linked = linker.link(self._module, self._entry)
        except wasmtime_c.Refused as e:
            raise _mismatch(self._path, sentence(str(e))) from e
        return LinkedCore(self._engine, self._epochs, linked, self._results, binding, streams)

    def _own_streams(self, grant: Grant, linker: wasmtime_c.Linker) -> Streams | None:
        from wasmlrun.sandbox import core_streams  # only here: commands run few instances

        if not core_streams.suffice(grant, self._imports):
            return None
        streams = core_streams.Streams()
        streams.define(linker)
        return streams


def _refuse(refusal: BadWorker, *_: object) -> int:
    raise refusal


class LinkedCore:
    """A module with its imports provided."""

    def __init__(
        self,
        engine: wasmtime_c.Engine,
        epochs: Epochs,
        linked: wasmtime_c.Linked,
        results: int,
        binding: nn.CoreBinding,
        streams: Streams | None,
    ) -> None:
        """`results` is how many its `_start` has; without `streams` they are wasmtime's."""
        self._engine = engine
        self._epochs = epochs
        self._linked = linked
        self._results = results
        self._nn = binding
        self._streams = streams
        self.process_memory_used = 0

    @property
    def memory_used(self) -> int:
        """Bytes of linear memory that the last instance ended with; 0 when that is not known."""
        return self._linked.memory_used

    def start(self, setup: Setup, session: Session | None, limits: Limits, clock: Clock) -> int:
        """Run a fresh instance to its end; its exit code. Raises Trapped or CannotMount."""
        store, lent = wasmtime_c.Store(self._engine), Lent()
        self._nn.session = session
        failed = True
        try:
            store.set_limits(
                memory=limits.memory,
                table=limits.table,
                instances=limits.instances,
                tables=limits.tables,
                memories=limits.memories,
                fuel=limits.fuel,
            )
            try:
                core_wasi.give(store, setup, lent if self._streams is None else None)
            except wasmtime_c.Refused as e:
                raise CannotMount(sentence(str(e))) from e
            with self._epochs.limited(clock, store.set_epoch_deadline), self._writing(setup):
                self._linked.run(store, self._results)
            failed = False
        except wasmtime_c.Exited as e:
            failed = e.code != 0
            return e.code
        except wasmtime_c.Trap as e:
            raise Trapped(str(e)) from e
        finally:
            self._nn.session = None
            # before its memories are gone
            self.process_memory_used = memory_in_use() if failed else 0
            store.close()
            lent.wait()
        return 0

    def _writing(self, setup: Setup) -> AbstractContextManager[None]:
        return self._streams.lent(setup) if self._streams is not None else nullcontext()


def _loaded(
    path: Path, code: bytes, *, fuel: bool
) -> tuple[wasmtime_c.Engine, wasmtime_c.Module, bool]:
    """What was compiled ahead, and whether it is bytecode."""
    from wasmlrun.sandbox import ahead as files  # only here: few workers are compiled ahead

    found = files.opened(path, code, fuel=fuel)
    return *files.restored(path, found, fuel=fuel), found.target is not None


def _compiled(
    runtime: Runtime, path: Path, code: bytes, *, fuel: bool
) -> tuple[wasmtime_c.Engine, wasmtime_c.Module]:
    if runtime.many and runtime.limits.table <= _MOST_READY:
        engine = wasmtime_c.Engine(fuel=fuel, ready=runtime.limits.table)
        with suppress(BadWorker):  # it may be what can be run, and cannot be kept ready
            return engine, _compile(runtime, engine, path, code)
    engine = wasmtime_c.Engine(fuel=fuel)
    return engine, _compile(runtime, engine, path, code)


def _compile(
    runtime: Runtime, engine: wasmtime_c.Engine, path: Path, code: bytes
) -> wasmtime_c.Module:
    def restore(machine_code: bytes) -> wasmtime_c.Module | None:
        try:
            return wasmtime_c.Module.restored(engine, machine_code)
        except wasmtime_c.Refused:
            return None

    def build() -> wasmtime_c.Module:
        with runtime.compiling():
            return wasmtime_c.Module.compiled(engine, code)

    try:
        return compiled(
            runtime.cache,
            f"module, {runtime.configuration}",
            code,
            f"worker {path.name}",
            build,
            restore,
        )
    except wasmtime_c.Refused as e:
        raise BadWorker(f"worker {path} is not valid WebAssembly: {sentence(str(e))}") from e


def _check_imports(
    path: Path,
    imports: Sequence[tuple[str, str, int]],
    grant: Grant,
    linker: wasmtime_c.Linker,
    store: wasmtime_c.Store,
) -> None:
    wanted = next((f"{module}.{name}" for module, name, _ in imports if module in nn.MODULES), None)
    if wanted is not None:
        require_nn(grant, path, wanted)
    missing = [(m, name, arity) for m, name, arity in imports if not linker.has(store, m, name)]
    if missing:
        from wasmlrun.sandbox import import_origins  # only here: nothing is missing as a rule

        found = [import_origins.of_core(module, name) for module, name, _ in missing]
        shown = [
            f"{module}.{name}" + (f" ({arity} arguments)" if arity >= 0 else "")
            for module, name, arity in missing[:3]
        ]
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        origins = ", ".join(dict.fromkeys(world.name for world in found))
        raise BadWorker(
            f"worker {path} imports what nobody provides here: {', '.join(shown)}{others} "
            f"(from {origins})",
            import_origins.remedies(found),
        )


def _mismatch(path: Path, why: str) -> BadWorker:
    """The error for an import that exists and has other arguments than the worker wants."""
    named = re.search(r"`([^`]+)::([^`]+)`", why)
    if named is None:
        return BadWorker(f"worker {path} cannot be linked: {why}")
    module, name = named.groups()
    return BadWorker(
        f"worker {path} imports {module}.{name} with other arguments than it has here: {why}",
        f"it was built for another host's {module}; build it for plain WASI, "
        f"target wasm32-wasip1{_no_network(name)}",
    )


def _no_network(name: str) -> str:
    return ", without the parts that open connections" if name.startswith("sock_") else ""
