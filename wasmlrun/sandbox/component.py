"""Workers that are components: compiling with the adapter, providing imports, starting."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path

from wasmtime import Config, Engine, ExitTrap, Store, Trap, WasiConfig, WasmtimeError
from wasmtime import _ffi as ffi
from wasmtime.component import Component, Linker, Variant

from wasmlrun.binary.component import Named, NotUnderstood, Outline, read
from wasmlrun.manifest.grant import Grant, nn_refused, require_nn
from wasmlrun.manifest.mounts import opened
from wasmlrun.sandbox import import_origins
from wasmlrun.sandbox.clock import Clock, Epochs, Runtime, Trapped
from wasmlrun.sandbox.precompile import compiled
from wasmlrun.sandbox.setup import CannotMount, Lent, Setup, sentence
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.limits import Limits
from wasmlrun.support.process import memory_in_use
from wasmlrun.wasi_nn import adapter
from wasmlrun.wasi_nn.component import ComponentBinding
from wasmlrun.wasi_nn.session import Session

_RUN = "wasi:cli/run@"
_OUT_OF_MEMORY = "wasmlrun_out_of_memory"
"""The function of `adapter.wat` that traps when its memory cannot grow."""


class ComponentProgram:
    """A compiled component and what it imports."""

    is_bytecode = False

    def __init__(self, runtime: Runtime, path: Path, code: bytes) -> None:
        """Compile.

        Raises:
            BadWorker: no valid component, not a program, or an import that nobody provides.
        """
        self._runtime = runtime
        self._path = path
        config = Config()
        config.epoch_interruption = True
        config.consume_fuel = runtime.limits.fuel is not None
        self._engine = Engine(config)
        self._epochs = Epochs(self._engine.increment_epoch)
        try:
            outline = read(code)
            self._imports = outline.imports
            self._run = _run_export(path, outline)
            # before the compilation, which may take many seconds
            _check_imports(path, self._imports)
            self._component = self._compiled(code, outline)
        except NotUnderstood as e:
            raise BadWorker(f"worker {path} is not a component that can be run here: {e}") from e

    @property
    def uses_nn(self) -> bool:
        """Whether it imports WASI-NN."""
        return bool(self._nn)

    @property
    def _nn(self) -> list[str]:
        return [item.name for item in self._imports if adapter.provides(item.name)]

    def linked(self, grant: Grant) -> LinkedComponent:
        """Provide its imports. Raises BadWorker for one that is not granted."""
        for interface in self._nn:
            require_nn(grant, self._path, interface)
        return LinkedComponent(
            self._engine,
            self._epochs,
            self._path,
            self._component,
            self._run.name,
            self._nn,
            any(item.name == import_origins.EXIT for item in self._imports),
            # with an interpreter it got this far, and may be run until it calls one of them
            None if grant.nn else nn_refused(grant, self._path, "wasi:nn"),
        )

    def _compiled(self, code: bytes, outline: Outline) -> Component:
        def build() -> Component:
            composed = adapter.compose(code, outline, self._run) if self.uses_nn else code
            with self._runtime.compiling():
                return Component(self._engine, composed)

        def restore(machine_code: bytes) -> Component | None:
            try:
                return Component.deserialize(self._engine, machine_code)
            except WasmtimeError:
                return None

        about = f"component, {self._runtime.configuration}"
        if self.uses_nn:
            about += f", adapter {adapter.identity()}"
        what = f"worker {self._path.name}"
        try:
            return compiled(self._runtime.cache, about, code, what, build, restore)
        except WasmtimeError as e:
            why = sentence(str(e))
            raise BadWorker(f"worker {self._path} is not a valid component: {why}") from e


class LinkedComponent:
    """A component with its imports provided."""

    def __init__(
        self,
        engine: Engine,
        epochs: Epochs,
        path: Path,
        component: Component,
        run: str,
        nn: Sequence[str],
        numbers: bool,
        refusal: BadWorker | None = None,
    ) -> None:
        """`numbers`: it says what number it ends with. `refusal` is raised when it calls
        WASI-NN.
        """
        self._uses_nn = bool(nn)
        self._engine = engine
        self._epochs = epochs
        self._component = component
        self._run = run
        # a component's memories cannot be seen from outside
        self.memory_used = 0
        self._code = 1
        """What it ends with if it ends badly."""
        self.process_memory_used = 0
        self._nn = ComponentBinding(refusal)
        self._linker = Linker(engine)
        try:
            self._linker.add_wasip2()
            if nn:
                self._nn.define(self._linker, nn)
            if numbers:
                with self._linker.root() as root, root.add_instance(import_origins.EXIT) as ending:
                    ending.add_func("with-code", self._end_with)
        except WasmtimeError as e:
            raise BadWorker(f"worker {path} cannot be linked: {sentence(str(e))}") from e

    def start(self, setup: Setup, session: Session | None, limits: Limits, clock: Clock) -> int:
        """Run a fresh instance to its end; its exit code. Raises Trapped or CannotMount."""
        store = self._store(limits)
        self._code = 1
        lent = Lent()
        code = 1
        try:
            store.set_wasi(_wasi(setup, lent))
            with (
                self._nn.serving(session, limits.tensor_bytes),
                self._epochs.limited(clock, store.set_epoch_deadline),
            ):
                code = self._run_in(store)
        except ExitTrap as e:
            # WASI 0.2 has one number for all bad ends
            code = int(e.code) and self._code
        except Trap as e:
            raise Trapped(e.message) from e
        except WasmtimeError as e:
            text = str(e)
            # the adapter's own memory is limited too, and it has no other way to say so
            full = self._uses_nn and _OUT_OF_MEMORY in text
            raise Trapped(text, "memory" if full else None) from e
        finally:
            # before its memories are gone
            self.process_memory_used = memory_in_use() if code != 0 else 0
            store.close()
            lent.wait()
        return code

    def _end_with(self, _: object, code: int) -> None:
        self._code = code

    def _store(self, limits: Limits) -> Store:
        store = Store(self._engine)
        store.set_limits(
            memory_size=limits.memory,
            table_elements=limits.table,
            instances=limits.instances,
            tables=limits.tables,
            memories=limits.memories,
        )
        if limits.fuel is not None:
            store.set_fuel(limits.fuel)
        return store

    def _run_in(self, store: Store) -> int:
        instance = self._linker.instantiate(store, self._component)
        interface = instance.get_export_index(store, self._run)
        index = instance.get_export_index(store, "run", interface)
        run = instance.get_func(store, index) if index is not None else None
        if run is None:
            raise BadWorker(f"the worker's {self._run} has no function run")
        outcome = run(store)
        return self._code if isinstance(outcome, Variant) and outcome.tag == "err" else 0


def _wasi(setup: Setup, lent: Lent) -> WasiConfig:
    """The setup in the form of wasmtime's Python package. Raises CannotMount."""
    wasi = WasiConfig()
    wasi.argv = list(setup.arguments)
    wasi.env = list(setup.environ)
    if setup.stdin is None:
        wasi.inherit_stdin()
    else:
        _stdin_bytes(wasi, setup.stdin)
    if setup.stdout is None:
        wasi.inherit_stdout()
    else:
        wasi.stdout_custom = lent.lend(setup.stdout)
    if setup.stderr is None:
        wasi.inherit_stderr()
    else:
        wasi.stderr_custom = lent.lend(setup.stderr)
    for mount in setup.mounts:
        try:
            with opened(mount) as host:
                wasi.preopen_dir(host, mount.guest, mount.writable)
        except WasmtimeError as e:
            raise CannotMount(f"{mount.host} at {mount.guest}") from e
        except OSError as e:
            raise CannotMount(f"{mount.host} at {mount.guest} ({e.strerror})") from e
    return wasi


def _stdin_bytes(wasi: WasiConfig, data: bytes) -> None:
    # wasmtime's C API takes stdin as bytes; its Python class has only files for it
    vector = ffi.wasm_byte_vec_t()
    buffer = ctypes.cast(ctypes.c_char_p(data), ctypes.POINTER(ffi.wasm_byte_t))
    ffi.wasm_byte_vec_new(ctypes.byref(vector), len(data), buffer)
    # takes ownership of the vector
    ffi.wasi_config_set_stdin_bytes(wasi.ptr(), ctypes.byref(vector))


def _run_export(path: Path, outline: Outline) -> Named:
    exports = {item.name: item for item in outline.exports}
    for name, item in exports.items():
        if name.startswith(f"{_RUN}0.2."):
            return item
    newer = next((name for name in exports if name.startswith(_RUN)), None)
    if newer is not None:
        raise BadWorker(
            f"worker {path} exports {newer}; WASI 0.2 is what is supported here",
            "build it for WASI 0.2, target wasm32-wasip2",
        )
    if _RUN.rstrip("@") in exports:
        raise BadWorker(
            f"worker {path} exports wasi:cli/run of a preview of WASI 0.2",
            "make the component anew with an adapter of today, or build it for wasm32-wasip2",
        )
    have = ", ".join(exports) or "nothing"
    raise BadWorker(
        f"worker {path} is a component that exports no wasi:cli/run (it exports {have})",
        "build it as a program: a world that exports wasi:cli/run@0.2.0",
    )


def _check_imports(path: Path, imports: Sequence[Named]) -> None:
    missing = [item.name for item in imports if not import_origins.component_provides(item.name)]
    if missing:
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadWorker(
            f"worker {path} imports what nobody provides here: {', '.join(missing[:3])}{others}",
            import_origins.remedies(map(import_origins.of_component, missing)),
        )
