"""Draw ship.jpg: a container ship on a calm sea."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from draw_common import (
    OVERSAMPLE,
    blur,
    compose,
    finish,
    gradient,
    ground,
    lookup,
    main,
    noise,
    picture,
)
from draw_light import Camera, Light, render
from draw_shapes import Array, Ball, Bone, Box, Shape, Skin, Slab, distance, length, rgb, rotation
from PIL import Image

CONTAINERS = ("#b5352b", "#1f5fa8", "#d98a25", "#2c7a4b", "#8a8f96", "#e2ddd2", "#7b3b22")


@dataclass(frozen=True)
class Settings:
    """What may be varied; the defaults were chosen by eye and by what the models answered."""

    seed: int = 5
    hull: str = "#1b3a6e"
    keel: str = "#a33328"
    heading: float = 22.0
    eye_y: float = 2.6
    target_x: float = -0.2
    target_y: float = 1.15
    zoom: float = 0.268
    stack: float = 1.0
    sky_top: tuple[float, float, float] = (0.36, 0.58, 0.82)
    sky_low: tuple[float, float, float] = (0.84, 0.91, 0.95)
    sea: tuple[float, float, float] = (0.10, 0.30, 0.44)


@dataclass(frozen=True)
class Hull(Shape):
    """A ship's hull along x, bow towards +x, its waterline at y = 0."""

    half: float = 0.55
    stern: float = -3.4
    bow: float = 3.5
    deck: float = 0.95

    def depth_of(self, local: Array) -> Array:
        x, y, z = local
        rake = self.bow + 0.35 * (y - self.deck) / self.deck  # the bow leans forward
        sheer = self.deck + 0.10 * np.clip((x - 1.5) / 2.0, 0.0, 1.0) ** 2
        sharp = np.clip((x - 1.4) / (rake - 1.4), 0.0, 1.2) ** 2
        beam = self.half * (1.0 - sharp) * (0.86 + 0.14 * np.clip(y / self.deck, 0.0, 1.0))
        sides = np.maximum(np.abs(z) - beam, np.maximum(x - rake, self.stern - x))
        return np.asarray(np.maximum(sides, np.maximum(y - sheer, -0.4 - y)) * 0.6)


def freight(local: Array, colours: Array, stop: float) -> Array:
    """Paint a box as stacked containers: a grid of cells, each with a colour of its own."""
    x, y, z = local
    column, row, lane = np.floor(x / 0.52), np.floor(y / 0.205), np.floor(z / 0.2)
    pick = np.sin(column * 12.99 + row * 78.23 + lane * 37.7 + stop * 5.1) * 4375.5
    palette = np.array([rgb(code) for code in CONTAINERS]).T
    chosen = palette[:, ((pick - np.floor(pick)) * len(CONTAINERS)).astype(int)]
    seam = np.minimum(x / 0.52 - column, 1 - (x / 0.52 - column)) < 0.03
    seam |= np.minimum(y / 0.205 - row, 1 - (y / 0.205 - row)) < 0.06
    ribs = 1.0 - 0.12 * (np.sin(x * 120.0) > 0)
    return np.asarray(np.where(seam, 0.25, 1.0) * chosen * ribs)


def ship(s: Settings) -> list[Shape]:
    """Build the ship, bow towards +x."""
    white, dark = Skin(rgb("#f1efe8"), gloss=0.1), Skin(rgb("#20242a"))

    def plates(local: Array, colours: Array) -> Array:
        y = local[1]
        keel = np.asarray(rgb(s.keel))[:, None]
        colours = np.where(y < 0.16, keel, colours)
        return np.where((y > 0.16) & (y < 0.19) | (y > 0.90), 0.8, colours)

    def glazed(local: Array, colours: Array) -> Array:
        x, y, z = local
        deck = y * 4.6 - np.floor(y * 4.6)
        pane = np.minimum(np.abs((z * 6.0) % 1.0 - 0.5), np.abs((x * 6.0) % 1.0 - 0.5)) < 0.28
        return np.where((deck > 0.45) & (deck < 0.72) & pane, 0.05, colours)

    stacks: list[Shape] = []
    for stop, (start, high) in enumerate(((-1.55, 4), (-0.48, 5), (0.59, 5), (1.66, 4))):
        tall = round(high * s.stack) * 0.1025
        stacks.append(
            Box(
                Skin(rgb("#888888"), paint=partial(freight, stop=float(stop))),
                (start + 0.52, 0.98 + tall, 0),
                half=(0.50, tall, 0.50 if start < 1.6 else 0.36),
                edge=0.01,
            )
        )
    bridge = Skin(white.colour, gloss=0.2, paint=glazed)
    return [
        Hull(Skin(rgb(s.hull), gloss=0.25, paint=plates), (0, 0, 0)),
        *stacks,
        Box(bridge, (-2.35, 1.55, 0), half=(0.36, 0.68, 0.46), edge=0.03),
        Box(bridge, (-2.30, 2.30, 0), half=(0.32, 0.14, 0.60), edge=0.03),
        Box(white, (-2.35, 2.47, 0), half=(0.36, 0.03, 0.62), edge=0.02),
        Bone(dark, (-2.35, 2.4, 0), reach=(0, 0.75, 0), thick=(0.035, 0.02)),
        Slab(
            Skin(rgb("#c8472f"), gloss=0.2),
            (-3.0, 0.95, 0),
            outline=((-0.22, 0.0), (0.2, 0.0), (0.16, 1.25), (-0.22, 1.25)),
            half=0.22,
            edge=0.06,
        ),
        Box(dark, (-3.03, 2.2, 0), half=(0.19, 0.06, 0.2), edge=0.02),
        Bone(white, (3.25, 0.9, 0), reach=(0, 0.85, 0), thick=(0.04, 0.025)),
        Box(white, (2.85, 1.06, 0), half=(0.2, 0.12, 0.15), edge=0.03),
        Ball(dark, (3.42, 0.72, 0.0), radii=(0.05, 0.05, 0.2)),
    ]


def sea(
    s: Settings, canvas: int, camera: Camera, subject: list[Shape], rng: np.random.Generator
) -> Image.Image:
    """Paint sky and sea, with foam along the hull and a darker sheen below it."""
    half = canvas // 2
    values = gradient(half, [(0.0, s.sky_top), (0.32, s.sky_low)])
    cloud = np.clip(noise(rng, half, half / 2, 5) * 0.4 + 0.1, 0.0, 1.0)[..., None]
    values += (0.97 - values) * cloud * 0.5
    low, points = ground(camera, half)
    x, _, z = points
    away = length(points - np.asarray(camera.eye)[:, None])
    ripple = noise(rng, 512, 26, 4)
    place = 511 - np.abs(np.stack([x * 34.0 + 200, z * 70.0]) % 1022 - 511)  # mirrored tiles
    swell = lookup(ripple, place) * np.clip(14.0 / away - 0.15, 0.05, 1.0)
    haze = 0.55 * (1.0 - np.exp(-np.maximum(away - 12.0, 0.0) / 70.0))
    water = np.asarray(s.sea)[:, None] * (1.0 + 0.13 * swell)
    water = water + (np.asarray(s.sky_low)[:, None] - water) * haze
    water = water + 0.12 * np.clip(swell - 1.2, 0.0, 1.0)
    gap = distance(subject, points) / 0.6  # the hull understates its distances
    water = water * (1.0 - 0.45 * np.clip(1.0 - gap / 1.3 + 0.2 * swell, 0.0, 1.0))
    foam = np.clip(1.0 - gap / 0.16 + 0.30 * swell, 0.0, 1.0) ** 2
    values[low] = (water + (0.93 - water) * 0.85 * foam).T
    return blur(picture(values).resize((canvas, canvas), Image.Resampling.BICUBIC), 0.9)


def draw(size: int, s: Settings | None = None) -> Image.Image:
    """Draw the picture."""
    s = s or Settings()
    rng = np.random.default_rng(s.seed)
    canvas = size * OVERSAMPLE
    camera = Camera((0.0, s.eye_y, 13.0), (s.target_x, s.target_y, 0.0), s.zoom)
    light = Light(sun=(0.5, 0.8, 0.7), sky=(0.62, 0.74, 0.88), ground=(0.25, 0.36, 0.42))
    turn = rotation(yaw=s.heading)
    subject = [shape.moved(turn, (0.0, 0.0, 0.0)) for shape in ship(s)]
    image = sea(s, canvas, camera, subject, rng)
    compose(image, render(subject, camera, canvas, light, 26.0).above(0.0))
    return finish(image, size, vignette=0.12)


if __name__ == "__main__":
    main("ship", draw)
