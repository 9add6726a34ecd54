"""Which engines there are, and making one by its name.

The engines that belong to wasmlrun are the packages in this folder. Those of others are entry
points of the group `wasmlrun.engines`; looking for them takes longer than all the rest of
choosing an engine, so that is done only where wasmlrun's own do not do.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path

from wasmlrun.engines.protocol import About, Engine, EnginePackage, NoEngineError, Settings
from wasmlrun.support.model_source import Encoding

GROUP = "wasmlrun.engines"
"""The entry-point group of engines that other packages bring."""


def names() -> list[str]:
    """Every engine's name: wasmlrun's own first, in order of preference."""
    own = sorted(_own(), key=lambda name: (-_package(name).ABOUT.priority, name))
    return own + sorted(set(_others()) - set(own))


def is_known(name: str) -> bool:
    """Whether an engine has this name, installed or not."""
    return name in _own() or name in _others()


def about(name: str) -> About:
    """What can be told of an engine.

    Raises:
        NoEngineError: none has this name, or what an entry point names is no engine.
    """
    if not is_known(name):
        raise NoEngineError(f"no engine is named {name!r}", nearest(name))
    return _package(name).ABOUT


def is_installed(engine: About) -> bool:
    """Whether the package that it needs is there."""
    try:
        return importlib.util.find_spec(engine.module) is not None
    except ModuleNotFoundError:  # of a package's part, where the package is absent
        return False


def get(name: str, settings: Settings) -> Engine:
    """Make an engine.

    Raises:
        NoEngineError: none has this name, it is not installed, or cannot do what is asked.
    """
    engine = about(name)
    if not is_installed(engine):
        raise NoEngineError(f"the engine {name} is not installed", engine.install)
    if settings.precision not in engine.precisions:
        raise NoEngineError(
            f"the engine {name} does not compute in {settings.precision}",
            f"it computes in: {', '.join(engine.precisions)}",
        )
    return _package(name).create(settings)


def readers(encoding: Encoding) -> list[About]:
    """The engines that read this encoding, the preferred first.

    Those of other packages are looked for only when none of wasmlrun's own is installed.
    """
    own = _reading(encoding, _own())
    if any(map(is_installed, own)):
        return own
    return _reading(encoding, [*_own(), *_others()])


def installed() -> list[str]:
    """The names of the engines that can be used, in the order of `names`."""
    return [a.name for a in _abouts(names()) if is_installed(a)]


def preferred() -> str:
    """The name of the installed engine that is preferred to all others.

    Raises:
        NoEngineError: none is installed.
    """
    found = [a for a in _abouts(_own()) if is_installed(a)]
    if not found:
        raise NoEngineError("no engine is installed", "wasmlrun engines says how to install one")
    return min(found, key=lambda a: (-a.priority, a.name)).name


def _reading(encoding: Encoding, candidates: Iterable[str]) -> list[About]:
    found = [a for a in _abouts(candidates) if encoding in a.encodings]
    return sorted(found, key=lambda a: (-a.priority, a.name))


def _abouts(candidates: Iterable[str]) -> list[About]:
    """Of those whose package can be imported; the others are told of when they are named."""
    found = []
    for name in candidates:
        with suppress(NoEngineError):
            found.append(_package(name).ABOUT)
    return found


@cache
def _own() -> tuple[str, ...]:
    folder = Path(__file__).parent
    return tuple(sorted(p.name for p in folder.iterdir() if (p / "__init__.py").is_file()))


@cache
def _others() -> tuple[str, ...]:
    from importlib.metadata import entry_points  # only here: it takes a tenth of a warm run

    return tuple(sorted({point.name for point in entry_points(group=GROUP)} - {*_own()}))


@cache
def _package(name: str) -> EnginePackage:
    if name in _own():
        package: EnginePackage = import_module(f"wasmlrun.engines.{name}")
        return package
    from importlib.metadata import entry_points

    (point, *_) = entry_points(group=GROUP, name=name)
    try:
        found: EnginePackage = point.load()
        right = isinstance(found.ABOUT, About) and found.ABOUT.name == name
    except (ImportError, AttributeError) as e:
        raise _broken(name, point.value, str(e)) from e
    if not right:
        raise _broken(name, point.value, f"its ABOUT is no About of the name {name}")
    return found


def _broken(name: str, value: str, why: str) -> NoEngineError:
    return NoEngineError(
        f"the engine {name} cannot be used: {value}: {why}", "tell its authors, or remove it"
    )


def nearest(name: str) -> str:
    """A hint for whoever named an engine that does not exist."""
    from difflib import get_close_matches

    known = names()
    near = get_close_matches(name, known, 1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
