"""Draw cat.jpg: a tabby cat sitting on a wooden floor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from draw_common import (
    OVERSAMPLE,
    UP,
    blur,
    finish,
    gradient,
    ground,
    lookup,
    main,
    noise,
    picture,
    shadow_map,
)
from draw_light import Camera, Light, render
from draw_shapes import (
    Array,
    Ball,
    Bone,
    Paint,
    Shape,
    Skin,
    Slab,
    Vector,
    pair,
    rgb,
    rotation,
    turned,
)
from draw_strokes import Coat, Strokes, furry, paint
from PIL import Image

NECK = (0.0, 3.3, 0.0)  # where the head, as `head` builds it, sits on the neck


@dataclass(frozen=True)
class Settings:
    """What may be varied; a search over these made the models surest of a cat."""

    seed: int = 3
    fur: str = "#8f7d64"
    pale: str = "#cdbfa6"
    stripe: float = 0.9
    bands: float = 1.2
    iris: str = "#a8a040"
    hair: float = 0.6
    head_yaw: float = 12.0
    head_pitch: float = 3.0
    head_roll: float = -4.0
    head_size: float = 1.15
    head_y: float = 2.6
    ear: float = 1.0
    target_y: float = 2.2
    depth: float = 4.0
    wall: Vector = (0.36, 0.42, 0.50)
    floor: Vector = (0.48, 0.35, 0.26)
    zoom: float = 0.15
    sun_x: float = 0.6
    hairs: int = 80_000
    tone: float = 0.14


def soft(value: Array, width: float) -> Array:
    """Return 0 below zero and 1 above `width`, with a ramp between."""
    return np.asarray(np.clip(value / width + 0.5, 0.0, 1.0))


def tabby(frequency: float, strength: float, along: Vector = (0.0, 1.0, 0.0)) -> Paint:
    """Make a paint of dark, slightly wavy stripes across a direction."""

    def stripes(local: Array, colours: Array) -> Array:
        x, y, z = local
        place = x * along[0] + y * along[1] + z * along[2]
        wave = 0.22 * np.sin(3.1 * x + 1.0) + 0.12 * np.sin(5.3 * z + 2.0 * y)
        band = np.clip(0.45 + 1.8 * np.sin(frequency * (place + wave)), 0.0, 1.0)
        return np.asarray(colours * (1.0 - strength * band))

    return stripes


def forehead(strength: float) -> Paint:
    """Make the paint of the face: lines over the brow that run up to an M, and cheek lines."""

    def lines(local: Array, colours: Array) -> Array:
        x, y, _ = local
        brow = np.clip(1.2 * np.sin(np.abs(x) * 21.0 + 1.2) - 0.1, 0.0, 1.0)
        brow = brow * np.clip((y - 0.12) * 6.0, 0.0, 1.0)
        cheek = np.clip(1.2 * np.sin(y * 17.0 + np.abs(x) * 9.0) - 0.1, 0.0, 1.0)
        cheek = cheek * np.clip((np.abs(x) - 0.36) * 7.0, 0.0, 1.0)
        return np.asarray(colours * (1.0 - strength * np.maximum(brow, cheek)))

    return lines


def head(s: Settings) -> list[Shape]:
    """Build the head looking straight ahead, its skull centred at (0, 3.6, 0)."""
    fur, pale, dark = rgb(s.fur), rgb(s.pale), rgb("#17110d")
    short = 0.11 * s.hair
    iris = np.array(rgb(s.iris))[:, None]

    def eye_paint(local: Array, colours: Array, shift: float) -> Array:
        x, y, z = local[0] - shift, local[1], local[2]
        slit = soft(1.0 - (x / 0.050) ** 2 - (y / 0.112) ** 2, 0.35)
        rim = soft(((x + shift / 2) / 0.125) ** 2 + (y / 0.108) ** 2 - 1.0, 0.3)
        white = soft(1.0 - np.hypot(x + 0.035, y - 0.04) / 0.022, 0.4) * (z > 0)
        colour = iris * (1.1 - 2.5 * y) * (1.0 - np.maximum(slit, rim)) + 0.006
        return np.asarray(colour + (3.0 - colour) * white)

    face = Skin(fur, (0.0, 0.6, -1.0), short, paint=forehead(s.stripe))
    side = Skin(fur, (0.9, -0.3, -0.7), short * 1.8, paint=tabby(9.0, s.stripe * 0.6))
    pads = Skin(pale, (0.4, -0.5, -0.8), short * 0.5)
    ear = ((-0.30, -0.1), (0.28, -0.1), (0.10, 0.56 * s.ear), (0.03, 0.58 * s.ear))
    inner = tuple((x * 0.68, y * 0.76 - 0.02) for x, y in ear)
    return [
        Ball(face, (0, 3.62, 0.0), radii=(0.68, 0.56, 0.58)),
        *pair(
            Ball(side, (0.40, 3.42, 0.12), blend=0.25, radii=(0.36, 0.34, 0.36)),
            Slab(
                Skin(fur, (0.1, 1.0, -0.3), short * 0.7),
                (0.40, 3.98, -0.05),
                rotation(yaw=20, roll=-20, pitch=-8),
                blend=0.12,
                outline=ear,
                half=0.09,
                edge=0.06,
            ),
            Slab(
                Skin(rgb("#c49a88"), (0.3, 1.0, 0.3), short * 0.9),
                (0.415, 3.98, 0.035),
                rotation(yaw=20, roll=-20, pitch=-8),
                blend=0.03,
                outline=inner,
                half=0.04,
                edge=0.03,
            ),
        ),
        Bone(
            Skin(fur, (0.0, 0.7, -0.7), short * 0.5),
            (0, 3.72, 0.42),
            blend=0.2,
            reach=(0, -0.20, 0.24),
            thick=(0.17, 0.13),
        ),
        *pair(Ball(pads, (0.12, 3.36, 0.56), blend=0.07, radii=(0.185, 0.145, 0.19))),
        Ball(
            Skin(pale, (0, -1, 0), short * 0.6),
            (0, 3.235, 0.50),
            blend=0.1,
            radii=(0.17, 0.12, 0.17),
        ),
        Ball(
            Skin(rgb("#b4686a"), gloss=0.15),
            (0, 3.475, 0.735),
            rotation(pitch=-25),
            blend=0.03,
            radii=(0.085, 0.055, 0.05),
        ),
        *pair(
            Ball(  # the upper lid
                Skin(fur, (0.0, 0.6, -1.0), short * 0.3),
                (0.26, 3.785, 0.48),
                rotation(yaw=14, roll=-10),
                blend=0.08,
                radii=(0.19, 0.06, 0.13),
            ),
            Ball(
                Skin(dark),
                (0.265, 3.64, 0.488),
                rotation(yaw=18, roll=14),
                blend=0.03,
                radii=(0.205, 0.155, 0.105),
            ),
        ),
        *(
            Ball(
                Skin(dark, gloss=0.6, paint=partial(eye_paint, shift=0.025 * side)),
                (0.26 * side, 3.64, 0.52),
                rotation(yaw=6 * side, roll=8 * side),
                blend=0.01,
                radii=(0.155, 0.115, 0.11),
            )
            for side in (-1, 1)
        ),
    ]


def body(s: Settings) -> list[Shape]:
    """Build the sitting body, front paws together, the tail laid around them."""
    fur, pale = rgb(s.fur), rgb(s.pale)
    hair = 0.2 * s.hair
    rings = tabby(10.5 * s.bands, s.stripe)
    coat = Skin(fur, (0.15, -1.0, 0.0), hair, paint=rings)
    haunch = Skin(
        fur, (0.2, -1.0, 0.2), hair, paint=tabby(9.5 * s.bands, s.stripe, (0.6, 0.6, 0.0))
    )
    chest = Skin(pale, (0.0, -1.0, 0.1), hair * 1.3, paint=tabby(9.0, s.stripe * 0.35))
    leg = Skin(fur, (0.0, -1.0, 0.0), hair * 0.45, paint=tabby(14.0 * s.bands, s.stripe * 0.8))
    paw = Skin(pale, (0.0, -0.3, 1.0), hair * 0.3)
    tail = Skin(fur, (1.0, 0.0, 0.3), hair * 0.8, paint=tabby(9.0, s.stripe, (1.0, 0.0, 0.0)))
    toes: list[Shape] = [
        Ball(paw, (0.27 + dx, 0.12, 1.02), blend=0.04, radii=(0.08, 0.10, 0.13))
        for dx in (-0.12, 0.0, 0.12)
    ]
    return [
        Ball(coat, (0, 1.15, -0.4), rotation(pitch=14), radii=(0.82, 1.2, 0.75)),
        *pair(
            Ball(haunch, (0.66, 0.66, -0.15), blend=0.2, radii=(0.46, 0.68, 0.75)),
            Ball(paw, (0.78, 0.14, 0.55), blend=0.12, radii=(0.2, 0.15, 0.36)),
            Ball(coat, (0.42, 1.65, 0.0), blend=0.25, radii=(0.32, 0.5, 0.42)),
        ),
        Ball(chest, (0, 1.65, 0.25), blend=0.3, radii=(0.42, 0.72, 0.42)),
        Bone(coat, (0, 1.9, -0.1), blend=0.35, reach=(0, 0.8, 0.05), thick=(0.5, 0.46)),
        *pair(
            Bone(leg, (0.32, 1.4, 0.32), blend=0.1, reach=(-0.06, -1.2, 0.5), thick=(0.25, 0.16)),
            Ball(paw, (0.27, 0.14, 0.9), blend=0.1, radii=(0.19, 0.14, 0.24)),
            *toes,
        ),
        Bone(tail, (0.5, 0.2, -0.8), blend=0.15, reach=(0.85, 0.0, 0.45), thick=(0.2, 0.18)),
        Bone(tail, (1.35, 0.2, -0.35), blend=0.1, reach=(0.1, -0.02, 0.85), thick=(0.18, 0.16)),
        Bone(tail, (1.45, 0.18, 0.5), blend=0.1, reach=(-0.75, -0.02, 0.65), thick=(0.16, 0.13)),
    ]


def arcs(
    s: Settings, camera: Camera, canvas: int, start: Array, reach: Array, sag: float, width: float
) -> Strokes:
    """Return curved lines on the face, given in the head's own places: 3 rows, one column each."""
    turn = rotation(s.head_yaw, s.head_pitch, s.head_roll)
    paths = []
    for step in np.linspace(0.0, 1.0, 9):
        local = start + reach * step - UP * sag * step**2
        world = turned(turn, local - np.array(NECK)[:, None]) * s.head_size
        paths.append(camera.project(world + np.array([[0.0], [s.head_y], [0.12]]), canvas).T)
    count = start.shape[1]
    widths = np.full(count, width * canvas / 1024)
    return Strokes(np.stack(paths, axis=1), np.ones((count, 3)), widths, np.zeros(count))


def whiskers(s: Settings, camera: Camera, canvas: int, rng: np.random.Generator) -> Strokes:
    """Return long arcs from both whisker pads."""
    sides = [side for side in (-1.0, 1.0) for _ in range(7)]
    start = np.array([[0.16 * a, rng.uniform(3.31, 3.43), 0.72] for a in sides]).T
    reach = np.array([[a, rng.uniform(-0.12, 0.3), -0.25] for a in sides]).T
    return arcs(s, camera, canvas, start, reach * rng.uniform(0.55, 0.85, len(sides)), 0.22, 2.0)


def mouth(s: Settings, camera: Camera, canvas: int) -> Strokes:
    """Return the line below the nose and the two that curve away from it."""
    start = np.array([[0.0, 3.41, 0.76], [0.0, 3.335, 0.76], [0.0, 3.335, 0.76]]).T
    reach = np.array([[0.0, -0.075, 0.0], [-0.17, -0.13, -0.06], [0.17, -0.13, -0.06]]).T
    return arcs(s, camera, canvas, start, reach, -0.11, 4.5)


def room(
    s: Settings, canvas: int, camera: Camera, subject: list[Shape], light: Light
) -> Image.Image:
    """Paint a pale wall and a wooden floor, both out of focus, with the cat's shadow."""
    rng = np.random.default_rng(s.seed)
    half = canvas // 2
    wall = gradient(half, [(0.0, (0.82, 0.85, 0.88)), (0.5, (1.03, 1.03, 1.0)), (1.0, (0.9,) * 3)])
    wall *= np.asarray(s.wall)
    wall += noise(rng, half, half / 3)[..., None] * 0.02
    low, points = ground(camera, half)
    low[low] = points[2] > -s.depth  # the wall stands behind the floor
    x, _, z = points[:, points[2] > -s.depth]
    plank = np.floor(x / 0.9)
    grain = lookup(noise(rng, 512, 20, 3), np.stack([(x * 90) % 512, (z * 9 + plank * 77) % 512]))
    tint = 1.0 + 0.06 * np.sin(plank * 12.9) + 0.05 * grain
    seam = np.clip(np.abs(x / 0.9 - plank - 0.5) * 60 - 29.0, 0.0, 1.0)
    bright = (
        tint * (1.0 - 0.35 * seam) * (0.25 + 0.75 * shadow_map(camera, half, subject, light)[low])
    )
    wall[low] = (np.asarray(s.floor)[:, None] * bright).T
    sharp = picture(wall).resize((canvas, canvas), Image.Resampling.BICUBIC)
    # The floor is sharp at the cat's feet and soft towards the wall.
    near = gradient(canvas, [(0.62, (0.0,) * 3), (0.9, (1.0,) * 3)])[..., 0]
    focus = Image.fromarray(np.uint8(near * 255))
    return Image.composite(blur(sharp, 1.0), blur(sharp, 9), focus)


def draw(size: int, s: Settings | None = None) -> Image.Image:
    """Draw the picture."""
    s = s or Settings()
    rng = np.random.default_rng(s.seed)
    canvas = size * OVERSAMPLE
    camera = Camera((0.0, 2.7, 13.0), (0.0, s.target_y, 0.0), s.zoom)
    light = Light(sun=(s.sun_x, 0.8, 0.7), sky=(0.70, 0.70, 0.70), ground=(0.34, 0.28, 0.2))
    turn = rotation(s.head_yaw, s.head_pitch, s.head_roll)
    place = (0.0, s.head_y, 0.12)
    parts = [shape.moved(turn, NECK, s.head_size, place) for shape in head(s)]
    subject = body(s) + parts
    view = render(subject, camera, size, light, 22.0)
    image = room(s, canvas, camera, subject, light)
    furry(image, view, camera, rng, Coat(count=int(s.hairs * (size / 512) ** 2), tone=s.tone))
    paint(image, mouth(s, camera, canvas), 0.12, 0.2, 130)
    paint(image, whiskers(s, camera, canvas, rng), 0.9, 0.95, 150)
    return finish(image, size)


if __name__ == "__main__":
    main("cat", draw)
