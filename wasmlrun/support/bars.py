"""Where bars are drawn that show how far something is, in colours that are seen on any ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_STYLES: Final = {
    "bar.complete": "magenta",
    "bar.finished": "green",
    "bar.pulse": "magenta",
    "progress.download": "default",
    "progress.remaining": "default",
}
"""rich's own are cyan and red among others, which a light or a dark ground swallows."""


def console(stream: TextIO) -> Console:
    """A console on a terminal's stream. rich is imported here: nothing else but tables needs it."""
    from rich.console import Console
    from rich.theme import Theme

    return Console(file=stream, highlight=False, theme=Theme(_STYLES))
