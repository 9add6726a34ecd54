"""Which inference engines there are and what each can do here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import About, EngineError, NoEngineError, Settings


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """An engine as it is found on this machine."""

    name: str
    about: About | None
    """None where its package cannot be imported."""
    version: str | None = None
    """None where it is not installed, or cannot be loaded."""
    devices: Sequence[str] = ()
    problem: str | None = None
    """Why it cannot be used although it is installed."""


def all_engines() -> list[EngineFacts]:
    """Every engine, the preferred first; those that are installed are loaded."""
    return [_facts(name) for name in registry.names()]


def _facts(name: str) -> EngineFacts:
    try:
        about = registry.about(name)
    except NoEngineError as e:
        return EngineFacts(name, None, problem=str(e))
    if not registry.is_installed(about):
        return EngineFacts(name, about)
    try:
        engine = registry.get(name, Settings())
        return EngineFacts(name, about, engine.version(), engine.devices())
    except (EngineError, OSError) as e:
        return EngineFacts(name, about, problem=str(e))
