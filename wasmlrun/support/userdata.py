"""Where this user's files are kept: pulled models and installed tools, and the cache."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wasmlrun.support.settings import value

DATA_DIR: Final = "WASMLRUN_DATA_DIR"


def data_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """What is set as `data_dir`, else the platform's data directory."""
    chosen = value("data_dir", environ).text
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "linux":
        # what platformdirs answers here, without the time its import takes
        place = environ.get("XDG_DATA_HOME", "").strip()
        return (Path(place) if place else Path.home() / ".local" / "share") / "wasmlrun"
    from platformdirs import user_data_path

    return user_data_path("wasmlrun", appauthor=False)


def shelf_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Where pulled and added models are."""
    return data_dir(environ) / "models"


def tools_dir() -> Path:
    """Where installed tools and prepared interpreters are."""
    return data_dir() / "tools"


def seal_key() -> Path:
    """The key that machine code is sealed with, which no stranger's code may read."""
    return data_dir() / "compile.key"


def cache_dir() -> Path:
    """What is set as `cache_dir`, else the platform's cache directory."""
    chosen = value("cache_dir").text
    if chosen:
        return Path(chosen).absolute()
    if sys.platform == "linux":
        place = os.environ.get("XDG_CACHE_HOME", "").strip()
        return (Path(place) if place else Path.home() / ".cache") / "wasmlrun"
    from platformdirs import user_cache_path

    return user_cache_path("wasmlrun", appauthor=False)
