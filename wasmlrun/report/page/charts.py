"""Diagrams as SVG: bars and a reliability diagram. Colours are the style sheet's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from wasmlrun.figures.calibration import Bin
from wasmlrun.report.page.elements import Child, el

WIDTH, HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 44
_GAP = 0.12


class Bar(NamedTuple):
    """A bar of a histogram; what of it is right, where that is known, is drawn apart."""

    title: str
    pictures: int
    right: int | None = None


def histogram(
    bars: Sequence[Bar], ticks: Sequence[tuple[float, str]], across: str, about: str
) -> Element:
    """Bars of equal width; `ticks` are places from 0 to 1 with what stands there."""
    most = max((bar.pictures for bar in bars), default=0) or 1
    width = (WIDTH - _LEFT - _RIGHT) / max(1, len(bars))
    drawn: list[Child] = []
    for number, bar in enumerate(bars):
        x, wide = _LEFT + width * (number + _GAP / 2), width * (1 - _GAP)
        parts = [("bar", bar.pictures, 0)]
        if bar.right is not None:
            parts = [("right", bar.right, 0), ("wrong", bar.pictures - bar.right, bar.right)]
        shapes = [
            el("rect", class_=kind, x=x, width=wide, y=_y((base + n) / most), height=_h(n / most))
            for kind, n, base in parts
            if n
        ]
        drawn.append(el("g", el("title", bar.title), *shapes))
    grid = [(n / most, f"{n:,}") for n in _round_steps(most)]
    return _chart([*_grid(grid, ticks, across), *drawn], about)


def reliability(bins: Sequence[Bin]) -> Element:
    """How often answers of each score were right; the diagonal is as it should be."""
    most = max((b.count for b in bins), default=0) or 1
    drawn: list[Child] = [
        el("line", class_="ideal", x1=_x(0), y1=_y(0), x2=_x(1), y2=_y(1)),
    ]
    for b in bins:
        middle = (b.low + b.high) / 2
        title = (
            f"scores {b.low:.2f} to {b.high:.2f}: {b.count:,} pictures, "
            f"mean score {b.confidence:.1%}, right {b.accuracy:.1%}"
        )
        wide = (_x(b.high) - _x(b.low)) * (1 - _GAP)
        drawn.append(
            el(
                "g",
                el("title", title),
                el(
                    "rect",
                    class_="bar",
                    x=_x(middle) - wide / 2,
                    width=wide,
                    y=_y(b.accuracy),
                    height=_h(b.accuracy),
                    # few pictures tell little
                    fill_opacity=0.25 + 0.75 * (b.count / most) ** 0.5,
                ),
                el("circle", class_="dot", cx=_x(b.confidence), cy=_y(b.accuracy), r=3.5),
            )
        )
    quarters = [(n / 4, f"{n * 25} %") for n in range(5)]
    grid = _grid(quarters, [(n / 4, f"{n / 4:g}") for n in range(5)], "first score")
    return _chart([*grid, *drawn], "How often answers are right, by their score")


def _chart(children: Sequence[Child], about: str) -> Element:
    return el(
        "svg",
        el("title", about),
        *children,
        class_="chart",
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=about,
    )


def _grid(
    rows: Sequence[tuple[float, str]], columns: Sequence[tuple[float, str]], across: str
) -> list[Child]:
    drawn: list[Child] = []
    for share, text in rows:
        y = _y(share)
        drawn.append(el("line", class_="grid", x1=_LEFT, x2=WIDTH - _RIGHT, y1=y, y2=y))
        drawn.append(el("text", text, class_="side", x=_LEFT - 6, y=y + 4))
    for share, text in columns:
        drawn.append(el("text", text, class_="tick", x=_x(share), y=HEIGHT - _BOTTOM + 18))
    middle = (_LEFT + WIDTH - _RIGHT) / 2
    drawn.append(el("text", across, class_="tick", x=middle, y=HEIGHT - 6))
    return drawn


def _x(share: float) -> float:
    return _LEFT + share * (WIDTH - _LEFT - _RIGHT)


def _y(share: float) -> float:
    return HEIGHT - _BOTTOM - _h(share)


def _h(share: float) -> float:
    return share * (HEIGHT - _TOP - _BOTTOM)


def _round_steps(most: int) -> list[int]:
    """Round numbers from 0 to at most `most`, four or so."""
    step = 1
    while most / step > 4:
        step = step * 5 // 2 if str(step)[0] == "2" else step * 2
    return list(range(0, most + 1, step))
