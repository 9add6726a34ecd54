"""From the device that a person or a guest asks for to one that an engine has here."""

from __future__ import annotations

from collections.abc import Callable

from wasmlrun.engines.protocol import Engine
from wasmlrun.support.errors import UsageFault

_TARGETS = {"cpu": "CPU", "gpu": "GPU", "tpu": "NPU", "auto": "AUTO"}


class DeviceChoice:
    """Chooses once per engine and target; an absent device is CPU with a warning, or an error."""

    def __init__(
        self, wanted: str | None, warn: Callable[[str], None], *, strict: bool = False
    ) -> None:
        """`wanted`, when given, stands above what guests ask for."""
        self._wanted = wanted
        self._warn = warn
        self._strict = strict
        self._chosen: dict[tuple[str, str], str] = {}

    def __call__(self, engine: Engine, target: str) -> str:
        """The engine's device for a WASI-NN execution target.

        Raises:
            UsageFault: with `strict`, when the device is absent.
        """
        key = (engine.about.name, target)
        if key not in self._chosen:
            self._chosen[key] = self._find(engine, self._wanted or _TARGETS[target])
        return self._chosen[key]

    def _find(self, engine: Engine, device: str) -> str:
        if device == "CPU":
            return device
        present = engine.devices()
        if device == "AUTO":
            return "AUTO" if len(present) > 1 else "CPU"
        if any(name.split(".")[0] == device for name in present):
            return device
        about, hint = engine.about, "leave out --strict-device to fall back to CPU"
        message = f"device {device} is not on this machine (found: {', '.join(present)})"
        if about.devices and device not in about.devices:
            # whatever the machine has
            known = ", ".join(about.devices)
            message = f"the engine {about.name} has no device {device} (it computes on: {known})"
            hint += "; wasmlrun engines lists what others have"
        if self._strict:
            raise UsageFault(message, hint)
        self._warn(f"{message}; using CPU")
        return "CPU"
