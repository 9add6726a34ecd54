"""A picture in the terminal: its own graphics where it has some, else characters.

Which graphics a terminal has it tells only when it is asked (kitty's protocol, sixel), and the
answer comes as if it were typed. textual-image asks, and draws; without it, or where something
else is on stdin, a cell shows two pixels, in colours or, under NO_COLOR, as letters of its ink.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image
    from rich.console import Console, RenderableType

ROWS = 14
"""Lines of the terminal that a picture takes at most."""
INK = " .:-=+*#%@"
"""From dark to light on a dark terminal."""
_graphics: Any = None
"""What draws with the terminal's own graphics; None if nothing."""


def ask_terminal() -> None:
    """Find out what the terminal can draw: to be called before walls stand and others read."""
    global _graphics
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or find_spec("textual_image") is None:
        return
    from PIL import Image
    from rich.console import Console
    from rich.measure import Measurement
    from textual_image.renderable import Image as Chosen
    from textual_image.renderable import SixelImage, TGPImage

    if Chosen in (SixelImage, TGPImage):
        _graphics = Chosen
        # it asks for the size of a cell once, and remembers it
        Measurement.get(Console(), Console().options, Chosen(Image.new("RGB", (1, 1))))


def drawn(image: Image, console: Console) -> RenderableType:
    """The picture as wide and high as there is room."""
    columns, rows = _cells(image.size, console.width)
    if _graphics is not None and not console.no_color:
        graphics: RenderableType = _graphics(image, width=columns, height=rows)
        return graphics
    if console.no_color or console.color_system is None:
        return _inked(image, columns, rows)
    return _halves(image, columns, rows)


def _cells(size: tuple[int, int], width: int) -> tuple[int, int]:
    """Columns and rows of a picture of so many pixels; a cell is twice as high as wide."""
    rows = float(ROWS)
    columns = 2 * rows * size[0] / size[1]
    if columns > width - 1:
        rows, columns = rows * (width - 1) / columns, float(width - 1)
    return max(1, round(columns)), max(1, round(rows))


def _halves(image: Image, columns: int, rows: int) -> RenderableType:
    from rich.text import Text

    small = image.convert("RGB").resize((columns, 2 * rows))
    lines = []
    for row in range(rows):
        line = Text(no_wrap=True)
        for column in range(columns):
            above, below = (_hex(small.getpixel((column, 2 * row + half))) for half in (0, 1))
            line.append("▀", f"{above} on {below}")
        lines.append(line)
    return Text("\n").join(lines)


def _inked(image: Image, columns: int, rows: int) -> RenderableType:
    from rich.text import Text

    data = image.convert("L").resize((columns, rows)).tobytes()
    letters = "".join(INK[value * len(INK) // 256] for value in data)
    lines = [letters[start : start + columns] for start in range(0, len(letters), columns)]
    return Text("\n".join(lines), no_wrap=True)


def _hex(pixel: Any) -> str:
    return "#{:02x}{:02x}{:02x}".format(*pixel)
