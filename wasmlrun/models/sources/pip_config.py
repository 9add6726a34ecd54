"""Where pip looks for packages: its environment variables and its configuration files.

Read here and not by pip, which need not be installed (`uv tool install`, a distribution's
Python) and is no library. What is read is what finding a file needs: `index-url`,
`extra-index-url`, `find-links`, `no-index` and `cert`. `trusted-host` is not followed: a server
whose certificate is wrong is not asked.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from configparser import ConfigParser, Error
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wasmlrun.support.errors import DownloadFailed

DEFAULT_INDEX: Final = "https://pypi.org/simple"
# later ones win
_SECTIONS: Final = ("global", "install", "download")


@dataclass(frozen=True, slots=True)
class PipConfig:
    """Where files of packages may be."""

    indexes: Sequence[str]
    """Addresses of indexes of the simple repository API, in pip's order."""
    find_links: Sequence[str]
    """Folders, and addresses of pages with links."""
    authority: str | None
    """A file of certificates."""


def read_config(environ: Mapping[str, str] = os.environ) -> PipConfig:
    """What pip would be told on this machine.

    Raises:
        DownloadFailed: a configuration file cannot be read.
    """
    said: dict[str, str] = {}
    for path in config_files(environ):
        said |= _settings(path)
    for key in ("index-url", "extra-index-url", "find-links", "no-index", "cert"):
        value = environ.get("PIP_" + key.upper().replace("-", "_"))
        if value:
            said[key] = value
    no_index = said.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t")
    indexes = [said.get("index-url", DEFAULT_INDEX), *said.get("extra-index-url", "").split()]
    return PipConfig(
        [] if no_index else [index.rstrip("/") for index in indexes],
        said.get("find-links", "").split(),
        said.get("cert"),
    )


def config_files(environ: Mapping[str, str]) -> list[Path]:
    """Configuration files, those that win last."""
    named = environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    home = Path(environ.get("HOME") or Path.home())
    if sys.platform == "win32":
        name = "pip.ini"
        shared = [Path(environ.get("PROGRAMDATA", "C:\\ProgramData")) / "pip" / name]
        roaming = environ.get("APPDATA")
        own = [home / "pip" / name, *([Path(roaming) / "pip" / name] if roaming else [])]
    else:
        name = "pip.conf"
        config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
        folders = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
        shared = [*(Path(f) / "pip" / name for f in reversed(folders)), Path("/etc") / name]
        own = [home / ".pip" / name, config / "pip" / name]
        if sys.platform == "darwin":
            shared.insert(0, Path("/Library/Application Support/pip") / name)
            own.append(home / "Library/Application Support/pip" / name)
    files = [*shared, *own, Path(sys.prefix) / name]
    return [*files, Path(named)] if named else files


def _settings(path: Path) -> dict[str, str]:
    parser = ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except NotADirectoryError:
        return {}
    except (OSError, UnicodeDecodeError, Error) as e:
        raise DownloadFailed(f"pip's configuration {path} cannot be read: {e}") from e
    found: dict[str, str] = {}
    for section in _SECTIONS:
        if parser.has_section(section):
            found |= {key.replace("_", "-"): value for key, value in parser.items(section)}
    return found
