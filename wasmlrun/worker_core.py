"""Workers that are core modules: compiling, providing imports, starting."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from wasmtime import Func, FuncType, Linker, Memory, Module, Store, WasmtimeError

from wasmlrun import nn
from wasmlrun.errors import BadWorker
from wasmlrun.grant import Grant, require_nn
from wasmlrun.precompile import compiled
from wasmlrun.runtime import Runtime
from wasmlrun.session import Session
from wasmlrun.wasi import sentence


class CoreProgram:
    """A compiled module and what it imports."""

    def __init__(self, runtime: Runtime, path: Path, code: bytes) -> None:
        """Compile.

        Raises:
            BadWorker: no WebAssembly, or not a program.
        """
        self._runtime = runtime
        self._path = path
        self._module = _compile(runtime, path, code)
        self._imports = list(_imports(self._module))
        starts = [e.type for e in self._module.exports if e.name == "_start"]
        if not any(isinstance(kind, FuncType) for kind in starts):
            raise BadWorker(
                f"worker {path} exports no _start function",
                "build it as a WASI command: a program with main, for target wasm32-wasi",
            )

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""
        return any(module in nn.MODULES for module, _, _ in self._imports)

    def linked(self, grant: Grant) -> LinkedCore:
        """Provide its imports. Raises BadWorker for one that nobody provides."""
        return LinkedCore(self._runtime, self._path, self._module, self._imports, grant)


class LinkedCore:
    """A module with its imports provided."""

    def __init__(
        self,
        runtime: Runtime,
        path: Path,
        module: Module,
        imports: Sequence[tuple[str, str, int]],
        grant: Grant,
    ) -> None:
        self._nn = nn.CoreBinding()
        self.memory_used = 0
        linker = Linker(runtime.engine)
        linker.define_wasi()
        if grant.nn:
            self._nn.define(linker, [i for i in imports if i[0] in nn.MODULES])
        _check_imports(path, imports, grant, linker, Store(runtime.engine))
        try:
            self._instance = linker.instantiate_pre(module)
        except WasmtimeError as e:
            raise _mismatch(path, sentence(e)) from e

    def start(self, store: Store, session: Session | None) -> int:
        """Run a fresh instance to its end; its exit code. Raises Trap or WasmtimeError."""
        self._nn.session = session
        self.memory_used = 0
        memory = None
        try:
            instance = self._instance.instantiate(store)
            exports = instance.exports(store)
            memory = exports.get("memory")
            start = exports["_start"]
            assert isinstance(start, Func)
            start(store)
        finally:
            self._nn.session = None
            if isinstance(memory, Memory):
                self.memory_used = memory.data_len(store)
        return 0


def _compile(runtime: Runtime, path: Path, code: bytes) -> Module:
    try:
        return compiled(
            runtime.cache,
            runtime.engine,
            runtime.configuration,
            code,
            f"worker {path.name}",
            Module,
            Module.deserialize_file,
        )
    except WasmtimeError as e:
        raise BadWorker(f"worker {path} is not valid WebAssembly: {sentence(e)}") from e


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
    wanted = next((f"{module}.{name}" for module, name, _ in imports if module in nn.MODULES), None)
    if wanted is not None:
        require_nn(grant, path, wanted)
    missing = []
    for module, name, arity in imports:
        try:
            linker.get(store, module, name)
        except WasmtimeError:
            missing.append((module, name, arity))
    if missing:
        from wasmlrun import worlds  # only here: nothing is missing as a rule

        found = [worlds.of_core(module, name) for module, name, _ in missing]
        shown = [
            f"{module}.{name}" + (f" ({arity} arguments)" if arity >= 0 else "")
            for module, name, arity in missing[:3]
        ]
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        origins = ", ".join(dict.fromkeys(world.name for world in found))
        raise BadWorker(
            f"worker {path} imports what nobody provides here: {', '.join(shown)}{others} "
            f"(from {origins})",
            worlds.remedies(found),
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
