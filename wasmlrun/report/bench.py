"""A benchmark's results: a table, tab-separated lines, JSON, or a stacked bar as a picture."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from wasmlrun.diagnose.bench import STAGES, Benchmark
from wasmlrun.report.answers import SCHEMA

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


def write(result: Benchmark, *, as_json: bool) -> None:
    """Print a result."""
    if as_json:
        print(json.dumps({"schema": SCHEMA, **asdict(result)}))
        return
    print(f"{'one-shot, ms':22}{'cold':>9}{'warm':>9}")
    for stage in (*STAGES, "total"):
        print(f"{stage:22}{result.cold[stage]:9.1f}{result.warm[stage]:9.1f}")
    print(f"\n{'warm loop':22}" + "  ".join(f"{p} {ms:.1f} ms" for p, ms in result.latency.items()))
    print(f"{'':22}{result.images_per_second:.1f} images a second")
    print(
        f"\n{'sandbox':22}{result.sandboxed_ms:.2f} ms with, {result.direct_ms:.2f} ms without: "
        f"{result.sandboxed_ms - result.direct_ms:+.2f} ms"
    )
    sys.stdout.flush()


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
