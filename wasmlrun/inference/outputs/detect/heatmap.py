"""A map of scores: each patch of high ones is a thing, as PaddleOCR finds lines of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wasmlrun.inference.arrays import Array
from wasmlrun.inference.outputs.detect.boxes import Boxes
from wasmlrun.support.errors import BadModel

_SMALLEST = 3
"""Pixels of the map that a box is wide and high at least."""


def candidates(outputs: Sequence[tuple[str, Array]], level: float, grow: float) -> Boxes:
    """A box around each patch of scores above `level`, its score the mean of them. The map shows
    things smaller than they are: boxes grow by `grow` × area ÷ circumference on each side.

    Raises:
        BadModel: the output is no map.
    """
    array = outputs[0][1]
    if array.ndim != 4 or array.shape[0] != 1 or array.shape[1] != 1:
        raise BadModel(f"a heatmap is [1, 1, height, width], the model gives {list(array.shape)}")
    scores = array[0, 0].astype(np.float32)
    patches = _patches(scores > level)
    corners, found = [], []
    high, wide = scores.shape
    for runs in patches:
        top, left = min(r for r, _, _ in runs), min(a for _, a, _ in runs)
        bottom, right = max(r for r, _, _ in runs) + 1, max(b for _, _, b in runs)
        if min(bottom - top, right - left) < _SMALLEST:
            continue
        pixels = sum(b - a for _, a, b in runs)
        found.append(sum(float(scores[r, a:b].sum()) for r, a, b in runs) / pixels)
        margin = grow * (bottom - top) * (right - left) / (2 * (bottom - top + right - left))
        corners.append((left - margin, top - margin, right + margin, bottom + margin))
    scale = np.array([wide, high, wide, high], np.float32)
    places = np.array(corners, np.float32).reshape(-1, 4) / scale
    return Boxes(places.clip(0, 1), np.array(found, np.float32), np.zeros(len(found), int))


def _patches(mask: Array) -> list[list[tuple[int, int, int]]]:
    """Patches of a map that hang together, each as runs of row, first column, end."""
    parent: list[int] = []
    runs: list[tuple[int, int, int]] = []

    def root(number: int) -> int:
        while parent[number] != number:
            parent[number] = parent[parent[number]]
            number = parent[number]
        return number

    above: list[int] = []
    for row in range(mask.shape[0]):
        edges = np.flatnonzero(np.diff(np.concatenate(([0], mask[row].astype(np.int8), [0]))))
        here = []
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            number = len(runs)
            runs.append((row, first, end))
            parent.append(number)
            here.append(number)
            for other in above:
                _, a, b = runs[other]
                if a <= end and first <= b:
                    parent[root(other)] = root(number)
        above = here
    found: dict[int, list[tuple[int, int, int]]] = {}
    for number, run in enumerate(runs):
        found.setdefault(root(number), []).append(run)
    return list(found.values())
