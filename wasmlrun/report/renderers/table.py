"""What a person sees at a terminal. Failures are told on stderr only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from wasmlrun.report.answer import Answer, Asked, Columns, Ranking, Renderer
from wasmlrun.report.renderers.lines import as_text
from wasmlrun.report.stdout import put
from wasmlrun.support.messages import printable

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

BAR_WIDTH = 24
LEAST_BAR = 6
NARROW = 40
"""Columns below which a label needs all the room, and there is no bar."""
LEAST_COLUMN = 10
"""A column with less room breaks every word: then a narrow terminal gets rows as paragraphs."""
LEAST_LAST = 24
"""Columns that the last column of a table is left with where the others stay whole."""


class Tables(Renderer):
    """Columns, bars, and otherwise the lines of an answer."""

    def __init__(self, stream: TextIO, asked: Asked) -> None:
        self._stream = stream

    def prepare(self) -> None:
        """Import what draws: only here, a pipe or --json needs no rich."""
        import rich.bar
        import rich.console
        import rich.table  # noqa: F401 - to be there when the result is

    def result(self, answer: Answer) -> None:
        """Its picture, or its lines where it has none."""
        picture = answer.picture
        if picture is None:
            put(self._stream, as_text(answer.lines))
        elif isinstance(picture, Ranking):
            self._ranking(picture)
        else:
            self._columns_and_footer(picture)

    def _ranking(self, ranking: Ranking) -> None:
        """The title, then a row of name, score and bar for each."""
        from rich.bar import Bar
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=self._stream, highlight=False)
        # not the table's own title, which would be broken at the table's width
        console.print(_text(fitting(ranking.title, console.width), bold=True))
        if ranking.picture is not None:
            from wasmlrun.report.drawn import drawn

            console.print(drawn(ranking.picture, console))
        longest = max((len(name) for name, _ in ranking.rows), default=0)
        bar = min(BAR_WIDTH, max(console.width - longest - len("100.0%") - 2, LEAST_BAR))
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column("label", overflow="fold")
        table.add_column("score", justify="right", no_wrap=True)
        for rank, (name, score) in enumerate(ranking.rows):
            cells: list[RenderableType] = [_text(name, bold=rank == 0), Text(percent(score))]
            if console.width >= NARROW:
                # of block characters, so that it is a bar without colours too
                share = min(max(score, 0.0), 1.0)
                cells.append(Bar(1.0, 0.0, share, width=bar, color="green"))
            table.add_row(*cells)
        console.print(table)

    def _columns_and_footer(self, columns: Columns) -> None:
        if columns.rows:
            self._columns(columns)
        if columns.footer:
            put(self._stream, printable(columns.footer))

    def _columns(self, columns: Columns) -> None:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        rows, groups = columns.rows, columns.groups or [""] * len(columns.rows)
        console = Console(file=self._stream, highlight=False)
        if console.width < NARROW and _room_for_last(rows, console.width) < LEAST_COLUMN:
            put(self._stream, _paragraphs(rows, groups, console.width))
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        least = [*columns.least, *[0] * len(rows[0])]
        for column, whole in enumerate(_whole(rows, console.width)):
            table.add_column(overflow="fold", no_wrap=whole, min_width=least[column] or None)
        shown = ""
        for group, (first, *others) in zip(groups, rows, strict=True):
            if group != shown:
                if table.row_count:
                    table.add_row()
                table.add_row(Text(printable(group, keep=""), style="magenta"))
                shown = group
            table.add_row(_text(first, bold=True), *map(_text, others))
        console.print(table)


def _whole(rows: Sequence[Sequence[str]], width: int) -> list[bool]:
    """Which columns stay whole: names always where they can, then as many more as leave the last
    one room to give way in.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    found, taken = [False] * len(widths), 0
    for column in sorted(range(len(widths) - 1), key=lambda c: (c > 0, widths[c])):
        taken += widths[column] + 2
        others = LEAST_LAST * (1 if column else 0)
        found[column] = taken + others <= width
    return found


def _room_for_last(rows: Sequence[Sequence[str]], width: int) -> int:
    """What is left for the last column where all others stay whole."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return width - sum(other + 2 for other in widths[:-1])


def _paragraphs(rows: Sequence[Sequence[str]], groups: Sequence[str], width: int) -> str:
    """Rows as lines that go on below, for a terminal that has no room for columns."""
    from textwrap import wrap

    found: list[str] = []
    shown = ""
    for group, row in zip(groups, rows, strict=True):
        if group != shown:
            found += ["", printable(group, keep="")] if found else [printable(group, keep="")]
            shown = group
        text = "  ".join(printable(cell, keep="") for cell in row if cell)
        found += wrap(text, width, subsequent_indent="  ", break_on_hyphens=False)
    return "".join(f"{line}\n" for line in found)


def percent(score: float) -> str:
    """A score as people read it: a share of 1, or any other number as it is."""
    return f"{score:.1%}" if 0 <= score <= 1 else f"{score:.4g}"


def fitting(path: str, width: int) -> str:
    """A path on one line of `width` columns; what is left out is its beginning."""
    if len(path) <= width:
        return path
    parts = path.split("/")
    for first in range(1, len(parts)):
        short = "…/" + "/".join(parts[first:])
        if len(short) <= width:
            return short
    return "…" + path[len(path) - width + 1 :]


def _text(cell: str, *, bold: bool = False) -> Text:
    from rich.text import Text

    return Text(printable(cell, keep=""), style="bold" if bold else "")


make = Tables
