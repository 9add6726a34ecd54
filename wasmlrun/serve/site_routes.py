"""From file names to routes, and from a path to the worker that answers it.

As in Wasm Workers Server: a file's path without extension, `index` dropped; `[name]` is a
parameter, `[...name]` all that is left; what is static comes before what is dynamic, and that
before what takes all. `_*`, `public` and `.wws` hold no workers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

from wasmlrun.support.records import Record
from wasmlrun.toolkit.languages import SCRIPTS

SUFFIXES = (".wasm", *SCRIPTS)
PUBLIC = "public"
_HIDDEN = re.compile(r"_.*|public|\.wws")
_PARAMETER = re.compile(r"\[(\.{3})?(\w+)\]")
_STATIC, _DYNAMIC, _TAIL = range(3)


class Route(Record):
    """A worker and the paths that it answers."""

    path: str
    """As in `/users/[id]`, with the prefix."""
    file: Path

    @property
    def kind(self) -> int:
        """0 static, 1 dynamic, 2 with a tail."""
        return _TAIL if "/[..." in self.path else _DYNAMIC if "/[" in self.path else _STATIC

    @property
    def dynamic(self) -> bool:
        """Whether it answers more than one path."""
        return self.kind != _STATIC

    def match(self, path: str) -> dict[str, str] | None:
        """The parameters of a path, None when it is another's."""
        if self.kind == _STATIC:
            return {} if path == self.path else None
        wanted, given = self.path.split("/")[1:], path.split("/")[1:]
        if len(given) < len(wanted) or (self.kind == _DYNAMIC and len(given) != len(wanted)):
            return None
        found = {}
        for number, part in enumerate(wanted):
            parameter = _PARAMETER.fullmatch(part)
            if parameter is None:
                if part != given[number]:
                    return None
            elif parameter[1]:
                found[parameter[2]] = unquote("/".join(given[number:]))
                break
            else:
                found[parameter[2]] = unquote(given[number])
        return found


class Routes(Record):
    """All routes of a folder, in the order in which they are asked."""

    routes: Sequence[Route]
    prefix: str = ""

    def find(self, path: str) -> tuple[Route, Mapping[str, str]] | None:
        """The first route that answers a path, with the path's parameters."""
        for route in self.routes:
            parameters = route.match(path)
            if parameters is not None:
                return route, parameters
        return None


def find_routes(folder: Path, prefix: str = "", ignore: Sequence[str] = ()) -> Routes:
    """The routes of every worker in a folder, but for files that a pattern of `ignore` names."""
    prefix = normalized_prefix(prefix)
    ignored = [_pattern(text) for text in ignore]
    files = [file.relative_to(folder) for file in _files(folder)]
    routes = [
        Route(_path_of(file, prefix), folder / file)
        for file in files
        if not any(pattern.fullmatch(file.as_posix()) for pattern in ignored)
    ]
    return Routes(sorted(routes, key=_order), prefix)


def _pattern(text: str) -> re.Pattern[str]:
    """`*` and `?` are of one name, `**` of any number of folders; brackets are routes'."""
    meanings = {"**/": "(?:.*/)?", "/**": "(?:/.*)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    parts = re.split(r"(\*\*/|/\*\*(?!/)|\*\*|\*|\?)", text)
    return re.compile("".join(meanings.get(part) or re.escape(part) for part in parts), re.DOTALL)


def normalized_prefix(prefix: str) -> str:
    """With one slash in front and none behind, or empty."""
    inner = prefix.replace("\\", "/").strip("/")
    return f"/{inner}" if inner else ""


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _HIDDEN.fullmatch(name))
        for name in sorted(names):
            if Path(name).suffix in SUFFIXES and not name.startswith("_"):
                yield Path(place) / name


def _path_of(file: Path, prefix: str) -> str:
    parts = [part for part in file.with_suffix("").parts if part != "index"]
    return prefix + "".join(f"/{part}" for part in parts) or "/"


def _order(route: Route) -> tuple[object, ...]:
    segments = [_segment(part) for part in route.path.split("/")[1:]]
    # the longer of two tails is the more particular
    length = -len(segments) if route.kind == _TAIL else len(segments)
    return route.kind, length, segments, str(route.file)


def _segment(part: str) -> tuple[int, str]:
    return (_TAIL if part.startswith("[...") else _DYNAMIC if "[" in part else _STATIC), part
