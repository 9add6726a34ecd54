"""The engines of a command: which one a model gets, and which of its devices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from wasmlrun.engines import registry
from wasmlrun.engines.devices import DeviceChoice
from wasmlrun.engines.protocol import About, Engine, NoEngineError, Settings
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Encoding


class EnginePool:
    """Engines that are made when they are needed, all with the same settings.

    A model's engine is the one that the user named, else the first that the manifest allows
    and that reads the model, else the preferred one of those that read it. Threads may share it.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        backend: str | None = None,
        device: str | None = None,
        strict_device: bool = False,
        warn: Callable[[str], None] = lambda text: None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`backend` and `device` are what the user named; `warn` hears of a device that is
        absent, `tell` why an engine was chosen.

        Raises:
            UsageFault: there is no engine of this name, or it is not installed.
        """
        self._settings = settings or Settings()
        self._backend = backend
        self._tell = tell
        self._choose_device = DeviceChoice(device, warn, strict=strict_device)
        self._lock = threading.RLock()
        self._engines: dict[str, Engine] = {}
        self._chosen: dict[tuple[Encoding, tuple[str, ...]], Engine] = {}
        if backend is not None:
            try:
                self._made(backend)
            except NoEngineError as e:
                raise UsageFault(f"--backend {backend}: {e}", e.hint) from e

    @classmethod
    def of(
        cls,
        engine: Engine,
        *,
        device: str | None = None,
        strict_device: bool = False,
        warn: Callable[[str], None] = lambda text: None,
    ) -> EnginePool:
        """A pool of one engine, which every model gets."""
        pool = cls(device=device, strict_device=strict_device, warn=warn)
        pool._backend = engine.about.name
        pool._engines[engine.about.name] = engine
        return pool

    def ahead(self, encoding: Encoding | None = None) -> Callable[[], None]:
        """Find the engine that a model of this encoding will most likely get. The function that is
        returned loads it, which is native work: it may be called while Python does other things.
        """
        try:
            if encoding is None:
                return self._made(self._backend or registry.preferred()).prepare
            return self.choose(encoding).prepare
        except NoEngineError:
            return lambda: None  # told when there is a model

    def choose(self, encoding: Encoding, allowed: Sequence[str] = ()) -> Engine:
        """The engine for a model of this encoding.

        `allowed` are the only ones that may be chosen, the preferred first; none is all.

        Raises:
            NoEngineError: none may be used, reads it and is installed.
        """
        key = (encoding, tuple(allowed))
        with self._lock:
            if key not in self._chosen:
                name, why = self._find(encoding, allowed)
                self._chosen[key] = self._made(name)
                self._tell(f"engine {name} for {encoding.value} models: {why}")
            return self._chosen[key]

    def device(self, engine: Engine, target: str) -> str:
        """The engine's device for a guest's execution target (cpu, gpu, tpu, auto).

        Raises:
            UsageFault: devices are strict, and it is absent.
        """
        return self._choose_device(engine, target)

    def _find(self, encoding: Encoding, allowed: Sequence[str]) -> tuple[str, str]:
        """The name of the engine to take, and why."""
        if self._backend is not None:
            self._check_reads(self._engines[self._backend].about, encoding)
            return self._backend, "named by the user"
        if allowed:
            candidates = [a for a in map(registry.about, allowed) if encoding in a.encodings]
            if not candidates:
                raise _not_allowed(encoding, allowed)
            why = f"the manifest allows {', '.join(allowed)}"
        else:
            candidates = registry.readers(encoding)
            if not candidates:
                raise NoEngineError(
                    f"no engine reads {encoding.value} models",
                    "wasmlrun engines lists what each of them reads",
                )
            why = f"preferred of {', '.join(a.name for a in candidates)}"
        for about in candidates:
            if registry.is_installed(about):
                return about.name, why
        first = candidates[0]
        raise NoEngineError(
            f"the engine {first.name}, which reads {encoding.value} models, is not installed",
            first.install,
        )

    def _check_reads(self, about: About, encoding: Encoding) -> None:
        if encoding not in about.encodings:
            reads = ", ".join(e.value for e in about.encodings)
            raise NoEngineError(
                f"the engine {about.name} does not read {encoding.value} models",
                f"it reads: {reads}; leave out --backend",
            )

    def _made(self, name: str) -> Engine:
        with self._lock:
            if name not in self._engines:
                self._engines[name] = registry.get(name, self._settings)
            return self._engines[name]


def _not_allowed(encoding: Encoding, allowed: Sequence[str]) -> NoEngineError:
    able = registry.readers(encoding)
    hint = "wasmlrun engines lists what each of them reads"
    if able:
        hint = f'add "{able[0].name}" to allowed_backends, or say --backend {able[0].name}'
    return NoEngineError(
        f"the manifest allows no engine that reads {encoding.value} models "
        f"(it allows: {', '.join(allowed)})",
        hint,
    )
