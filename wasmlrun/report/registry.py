"""From the name of a form to what writes it: a module of `wasmlrun.report.renderers`.

Each module has `make`, which gives a `Renderer` for a stream or a path, and is imported when it
is used. Forms for files have their line in `wasmlrun.report.forms`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TextIO

from wasmlrun.report.answer import Asked, Renderer

JSON, TABLE, LINES = "json_lines", "table", "lines"
"""What stdout can get."""


def for_stream(as_json: bool, stream: TextIO, asked: Asked) -> Renderer:
    """JSON Lines if asked, a table on a terminal, tab-separated lines otherwise."""
    return _make(JSON if as_json else TABLE if stream.isatty() else LINES, stream, asked)


def for_files(paths: Mapping[str, Path | None], asked: Asked) -> list[Renderer]:
    """A renderer for each form that was given a file."""
    return [_make(name, path, asked) for name, path in paths.items() if path is not None]


def _make(name: str, target: TextIO | Path, asked: Asked) -> Renderer:
    made = import_module(f"wasmlrun.report.renderers.{name}").make(target, asked)
    assert isinstance(made, Renderer)
    return made
