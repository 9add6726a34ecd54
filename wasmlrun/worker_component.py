"""Workers that are components: compiling with the adapter, providing imports, starting."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wasmtime import Engine, Store, WasmtimeError
from wasmtime.component import Component, Linker, Variant

from wasmlrun import adapter, worlds
from wasmlrun.component import Named, NotUnderstood, Outline, read
from wasmlrun.errors import BadWorker
from wasmlrun.grant import Grant, require_nn
from wasmlrun.nn_component import ComponentBinding
from wasmlrun.precompile import compiled
from wasmlrun.runtime import Runtime
from wasmlrun.session import Session
from wasmlrun.wasi import sentence

_RUN = "wasi:cli/run@"


class ComponentProgram:
    """A compiled component and what it imports."""

    def __init__(self, runtime: Runtime, path: Path, code: bytes) -> None:
        """Compile.

        Raises:
            BadWorker: no valid component, not a program, or an import that nobody provides.
        """
        self._runtime = runtime
        self._path = path
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
        return LinkedComponent(self._runtime, self._path, self._component, self._run.name, self._nn)

    def _compiled(self, code: bytes, outline: Outline) -> Component:
        def build(engine: Engine, code: bytes) -> Component:
            if self.uses_nn:
                code = adapter.compose(code, outline, self._run)
            return Component(engine, code)

        runtime = self._runtime
        configuration = runtime.configuration
        if self.uses_nn:
            configuration += f", adapter {adapter.identity()}"
        try:
            return compiled(
                runtime.cache,
                runtime.engine,
                configuration,
                code,
                f"worker {self._path.name}",
                build,
                Component.deserialize_file,
            )
        except WasmtimeError as e:
            raise BadWorker(f"worker {self._path} is not a valid component: {sentence(e)}") from e


class LinkedComponent:
    """A component with its imports provided."""

    def __init__(
        self, runtime: Runtime, path: Path, component: Component, run: str, nn: Sequence[str]
    ) -> None:
        self._component = component
        self._run = run
        # a component's memories cannot be seen from outside
        self.memory_used = 0
        self._nn = ComponentBinding(runtime.limits.tensor_bytes)
        self._linker = Linker(runtime.engine)
        try:
            self._linker.add_wasip2()
            if nn:
                self._nn.define(self._linker, nn)
        except WasmtimeError as e:
            raise BadWorker(f"worker {path} cannot be linked: {sentence(e)}") from e

    def start(self, store: Store, session: Session | None) -> int:
        """Run a fresh instance to its end; its exit code. Raises WasmtimeError."""
        with self._nn.serving(session):
            instance = self._linker.instantiate(store, self._component)
            interface = instance.get_export_index(store, self._run)
            index = instance.get_export_index(store, "run", interface)
            run = instance.get_func(store, index) if index is not None else None
            if run is None:
                raise BadWorker(f"the worker's {self._run} has no function run")
            outcome = run(store)
        return 1 if isinstance(outcome, Variant) and outcome.tag == "err" else 0


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
    have = ", ".join(exports) or "nothing"
    raise BadWorker(
        f"worker {path} is a component that exports no wasi:cli/run (it exports {have})",
        "build it as a program: a world that exports wasi:cli/run@0.2.0",
    )


def _check_imports(path: Path, imports: Sequence[Named]) -> None:
    missing = [item.name for item in imports if not worlds.component_provides(item.name)]
    if missing:
        others = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise BadWorker(
            f"worker {path} imports what nobody provides here: {', '.join(missing[:3])}{others}",
            worlds.remedies(map(worlds.of_component, missing)),
        )
