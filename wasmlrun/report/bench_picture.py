"""A benchmark's stages as stacked bars: the picture that `wasmlrun bench --save` draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from wasmlrun.diagnose.bench import STAGES, Benchmark

COLORS = (
    "#4c566a",
    "#5e81ac",
    "#88c0d0",
    "#8fbcbb",
    "#a3be8c",
    "#ebcb8b",
    "#d08770",
    "#bf616a",
    "#b48ead",
)


def draw(result: Benchmark, path: Path) -> None:
    """The stages of a cold and a warm one-shot as stacked bars; the suffix is the format.

    Raises OSError or ValueError when the file cannot be written.
    """
    width, left, bar = 1000, 70, 60
    canvas = Image.new("RGB", (width, 270), "white")
    pen = ImageDraw.Draw(canvas)
    font, large = ImageFont.load_default(15), ImageFont.load_default(19)
    pen.text((left, 12), "wasmlrun: where a one-shot's time goes", "black", large)
    scale = (width - left - 110) / max(result.cold["total"], result.warm["total"])
    for row, (name, stages) in enumerate((("cold", result.cold), ("warm", result.warm))):
        top = 52 + row * (bar + 14)
        pen.text((left - 12, top + bar / 2), name, "black", font, anchor="rm")
        end = _bar(pen, stages, left, top, bar, scale)
        pen.text((end + 8, top + bar / 2), f"{stages['total']:.0f} ms", "black", font, anchor="lm")
    x = left
    for stage, color in zip(STAGES, COLORS, strict=True):
        pen.rectangle((x, 222, x + 14, 236), color)
        pen.text((x + 20, 229), stage, "black", font, anchor="lm")
        x += 34 + int(pen.textlength(stage, font))
    canvas.save(path)


def _bar(
    pen: ImageDraw.ImageDraw,
    stages: Mapping[str, float],
    left: float,
    top: int,
    height: int,
    scale: float,
) -> float:
    for stage, color in zip(STAGES, COLORS, strict=True):
        right = left + stages[stage] * scale
        pen.rectangle((left, top, right, top + height), color)
        left = right
    return left
