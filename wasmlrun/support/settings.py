"""What a user sets once: a variable, or a key of the configuration file.

A flag beats a variable, which beats the file, which beats what is built in. The file is read only
where there is one, and once: a child behind walls has what its parent read.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wasmlrun.support.errors import BadFile
from wasmlrun.support.paths import is_file
from wasmlrun.support.records import Record

CONFIG: Final = "WASMLRUN_CONFIG"
"""Names another configuration file."""


class Setting(Record):
    """Something that can be set."""

    key: str
    """In the configuration file."""
    variable: str
    meaning: str
    otherwise: str
    """What holds when nobody sets it, in words."""


class Value(Record):
    """What a setting is, and who says so."""

    text: str | None
    origin: str
    """A variable, a file, or `built in`."""


_ALL: Final = (
    Setting(
        "model",
        "WASMLRUN_DEFAULT_MODEL",
        "the model that classify takes when none is named",
        "the most exact classifier of ImageNet that is pulled, else the bundled one",
    ),
    Setting(
        "mirror",
        "WASMLRUN_MIRROR",
        "an address that holds what `models pull` fetches, under its own names",
        "every file's own address",
    ),
    Setting(
        "cache_dir",
        "WASMLRUN_CACHE_DIR",
        "the folder of compiled workers and models",
        "a folder in the platform's cache directory",
    ),
    Setting(
        "data_dir",
        "WASMLRUN_DATA_DIR",
        "the folder of pulled models and installed tools",
        "a folder in the platform's data directory",
    ),
    Setting(
        "sources",
        "WASMLRUN_SOURCES",
        "an address (file:// too) that holds the sources of the interpreters",
        "the package mirror, then the upstream addresses",
    ),
)
SETTINGS: Final[Mapping[str, Setting]] = {setting.key: setting for setting in _ALL}

_read_before: Final[dict[Path, Mapping[str, str]]] = {}
"""What each file said when it was first needed; it holds until the process ends."""


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Where the configuration is or would be."""
    chosen = environ.get(CONFIG)
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "linux":
        # what platformdirs answers here, without the time its import takes
        place = environ.get("XDG_CONFIG_HOME", "").strip()
        return (Path(place) if place else Path.home() / ".config") / "wasmlrun" / "config.toml"
    from platformdirs import user_config_path

    return user_config_path("wasmlrun", appauthor=False) / "config.toml"


def value(key: str, environ: Mapping[str, str] = os.environ) -> Value:
    """What is set.

    Raises:
        BadFile: the configuration file is damaged.
    """
    setting = SETTINGS[key]
    said = environ.get(setting.variable)
    if said:
        return Value(said, setting.variable)
    path = config_file(environ)
    if not is_file(path):
        if environ.get(CONFIG):
            raise BadFile(f"the configuration {path} does not exist", f"{CONFIG} names it")
        return Value(None, "built in")
    if path not in _read_before:
        _read_before[path] = _read(path)
    found = _read_before[path].get(key)
    return Value(found, str(path) if found is not None else "built in")


def _read(path: Path) -> Mapping[str, str]:
    import tomllib

    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise BadFile(f"the configuration {path} cannot be read: {e.strerror}") from e
    except ValueError as e:  # TOML's and UTF-8's errors
        raise BadFile(f"the configuration {path} is not TOML: {e}") from e
    for key, given in said.items():
        if key not in SETTINGS:
            from difflib import get_close_matches

            near = get_close_matches(key, SETTINGS, 1)
            raise BadFile(
                f"the configuration {path} has an unknown key: {key}",
                f"did you mean {near[0]}?" if near else f"known: {', '.join(SETTINGS)}",
            )
        if not isinstance(given, str):
            raise BadFile(f"the configuration {path}: {key} must be a string", f'{key} = "…"')
    return said
