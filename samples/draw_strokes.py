"""Hair and grass for the sample pictures: thousands of thin strokes, the farthest painted first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from draw_common import UP, compose, ground_light, lookup, noise, to_screen
from draw_light import Camera, Light, View
from draw_shapes import Array, Shape, Vector, turned, unit
from numpy.typing import NDArray
from PIL import Image, ImageDraw


@dataclass(frozen=True)
class Strokes:
    """Hairs or blades: paths in canvas pixels (n, steps, 2), one colour, width, depth for each."""

    paths: Array
    colours: Array
    widths: Array
    depths: Array

    def only(self, chosen: NDArray[np.bool_]) -> Strokes:
        """Return the strokes that a boolean array picks."""
        return Strokes(
            self.paths[chosen], self.colours[chosen], self.widths[chosen], self.depths[chosen]
        )


def paint(image: Image.Image, strokes: Strokes, root: float, tip: float, opacity: int) -> None:
    """Paint strokes onto a canvas, the farthest first, from `root` to `tip` brightness."""
    brush = ImageDraw.Draw(image, "RGBA")
    steps = strokes.paths.shape[1] - 1
    fade = np.linspace(root, tip, steps)
    shades = np.clip(strokes.colours[:, None, :] * fade[None, :, None], 0.0, 1.0) * 255
    inks = [[(*ink, opacity) for ink in row] for row in shades.astype(int).tolist()]
    paths, widths = strokes.paths.tolist(), strokes.widths.tolist()
    for index in np.argsort(-strokes.depths, kind="stable").tolist():
        path = paths[index]
        for step in range(steps):
            (ax, ay), (bx, by) = path[step], path[step + 1]
            width = max(1, round(widths[index] * (1.0 - 0.5 * step / steps)))
            brush.line((ax, ay, bx, by), fill=inks[index][step], width=width)


@dataclass(frozen=True)
class Coat:
    """How a fur is drawn: how far hairs stand off, wander, gather in locks, and vary in tone."""

    count: int = 60_000
    lift: float = 0.35
    wander: float = 0.25
    locks: float = 0.35
    lock_size: float = 14.0
    droop: float = 0.3
    tone: float = 0.12
    width: float = 1.6


def fur(view: View, camera: Camera, canvas: int, rng: np.random.Generator, coat: Coat) -> Strokes:
    """Grow hairs on every part of the subject that has a hair length."""
    hairy = np.flatnonzero(view.hair > 0.02)
    # Short hair covers less, so it needs more strokes.
    chance = 1.0 / np.sqrt(view.hair[hairy])
    seeds = rng.choice(hairy, size=coat.count, p=chance / chance.sum())
    points, normals, flow = view.points[:, seeds], view.normals[:, seeds], view.flow[:, seeds]
    where = camera.project(points, canvas)
    cell = coat.lock_size * canvas / 1024
    sway = [lookup(noise(rng, canvas, cell * 1.5, 2), where) for _ in range(2)]
    right, up, _ = camera.axes()
    lock = (right[:, None] * sway[0] + up[:, None] * sway[1]) * coat.locks
    unruly = np.clip(view.hair[seeds] / 0.3, 0.25, 1.0)  # short hair lies flat
    along = unit(flow) + unruly * (lock + rng.normal(0.0, coat.wander, flow.shape))
    along = unit(along - normals * (along * normals).sum(axis=0))
    reach = view.hair[seeds] * rng.uniform(0.6, 1.3, seeds.size)
    path = []
    for step in np.linspace(0.0, 1.0, 5):
        out = normals * coat.lift * step - UP * coat.droop * step**2
        path.append(camera.project(points + reach * (along * step + out), canvas).T)
    tone = lookup(noise(rng, canvas, cell, 2), where) * coat.tone
    tone = unruly * (tone + rng.normal(0.0, coat.tone * 0.8, seeds.size))
    colours = to_screen(view.colours[:, seeds]) * np.exp(tone)
    depth = np.linalg.norm(points - np.asarray(camera.eye)[:, None], axis=0)
    widths = np.full(seeds.size, coat.width * canvas / 1024) * rng.uniform(0.7, 1.3, seeds.size)
    # Hair lies like roof tiles: what grows further along the flow is painted first.
    tile = 0.4 * (unit(flow) * points).sum(axis=0)
    return Strokes(np.stack(path, axis=1), colours.T, widths, depth + tile)


def furry(
    image: Image.Image, view: View, camera: Camera, rng: np.random.Generator, coat: Coat
) -> None:
    """Put a hairy subject onto a canvas: its skin, its hair, then eyes and nose once more."""
    compose(image, view)
    paint(image, fur(view, camera, image.width, rng, coat), 0.82, 1.1, 190)
    compose(image, view, bald_only=True)


@dataclass(frozen=True)
class Meadow:
    """Grass: two display colours it varies between, its height and brightness, its blades."""

    dark: Vector = (0.16, 0.30, 0.08)
    pale: Vector = (0.55, 0.66, 0.24)
    height: float = 0.32
    bright: float = 1.0
    count: int = 22_000


def grass(
    subject: Sequence[Shape],
    camera: Camera,
    canvas: int,
    rng: np.random.Generator,
    light: Light,
    meadow: Meadow,
) -> Strokes:
    """Grow blades on the ground y = 0 wherever the camera sees it, darker in the shadow."""
    count = meadow.count
    spot = np.stack([rng.uniform(-1.15, 1.15, count), rng.uniform(-1.5, 1.0, count)])
    pinhole = np.stack([spot[0] * camera.zoom, spot[1] * camera.zoom, -np.ones(count)])
    rays = turned(camera.axes().T, pinhole)
    rays = rays[:, rays[1] < -0.012]
    eye = np.asarray(camera.eye)[:, None]
    roots = eye - rays * eye[1] / rays[1]
    count = roots.shape[1]
    near = np.linalg.norm(roots - eye, axis=0)
    lit = ground_light(subject, roots, light)
    patch = np.sin(roots[0] * 1.3 + np.sin(roots[2] * 0.9) * 2) * 0.15
    mix = np.clip(rng.normal(0.42, 0.24, count) + patch, 0.0, 1.0)[:, None]
    colours = np.asarray(meadow.dark) * (1 - mix) + np.asarray(meadow.pale) * mix
    colours = colours * (0.35 + 0.75 * lit[:, None]) * meadow.bright
    tall = meadow.height * rng.uniform(0.4, 1.3, count)
    lean = rng.normal(0.0, 0.45, (3, count)) * np.array([[1.0], [0.0], [1.0]])
    path = [
        camera.project(roots + tall * (UP * step * (1 - 0.2 * step) + lean * step**2), canvas).T
        for step in np.linspace(0.0, 1.0, 6)
    ]
    widths = 0.028 * rng.uniform(0.6, 1.4, count) * canvas / (2 * camera.zoom * near)
    return Strokes(np.stack(path, axis=1), colours, np.maximum(widths, 1.0), near)
