"""Draw dog.jpg: a young golden retriever sitting on a sunny lawn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from draw_common import OVERSAMPLE, blur, finish, gradient, main, noise, picture, soft_lights
from draw_light import Camera, Light, render
from draw_shapes import Array, Ball, Bone, Shape, Skin, pair, rgb, rotation
from draw_strokes import Coat, Meadow, furry, grass, paint
from PIL import Image


@dataclass(frozen=True)
class Settings:
    """What may be varied; a search over these made the models surest of a dog."""

    seed: int = 7
    gold: str = "#d69a52"
    cream: str = "#efd3a0"
    ear_gold: str = "#b87636"
    hair: float = 1.0
    head_yaw: float = -10.0
    head_roll: float = 5.0
    head_pitch: float = 5.0
    head_size: float = 1.12
    head_y: float = 2.95
    muzzle: float = 1.0
    ear_long: float = 1.0
    eye_z: float = 13.0
    eye_y: float = 3.0
    target_y: float = 1.97
    zoom: float = 0.18
    sun_x: float = -0.55
    hairs: int = 70_000
    tone: float = 0.12
    backdrop: float = 0.55
    warmth: float = 0.1
    lawn: float = 0.85


def head(s: Settings) -> list[Shape]:
    """Build the head looking straight ahead, its skull centred at (0, 3.75, 0.15)."""
    gold, cream = rgb(s.gold), rgb(s.cream)
    ear, dark = rgb(s.ear_gold), rgb("#1b1310")
    short = 0.10 * s.hair
    m = s.muzzle * 1.08

    def eye_paint(local: Array, colours: Array) -> Array:
        iris = np.hypot(local[0], local[1]) > 0.055
        white = (np.hypot(local[0] + 0.035, local[1] - 0.045) < 0.024) & (local[2] > 0)
        return np.where(white, 3.0, np.where(iris, np.array([[0.05], [0.02], [0.008]]), 0.004))

    skull = Skin(gold, (0.0, 0.5, -1.0), short)
    cheek = Skin(gold, (0.7, -0.5, -0.8), short * 1.4)
    snout = Skin(cream, (0.0, 0.15, -1.0), short * 0.55)
    lips = Skin(cream, (0.25, -0.8, -0.6), short * 0.6)
    return [
        Ball(skull, (0, 3.82, 0.1), radii=(0.68, 0.58, 0.66)),
        *pair(
            Ball(cheek, (0.40, 3.46, 0.20), blend=0.3, radii=(0.38, 0.42, 0.42)),
            Ball(skull, (0.25, 4.02, 0.56), blend=0.16, radii=(0.19, 0.10, 0.15)),
        ),
        Bone(snout, (0, 3.50, 0.55), blend=0.2, reach=(0, -0.06, 0.74 * m), thick=(0.31, 0.225)),
        *pair(Ball(lips, (0.15, 3.33, 0.62 + 0.52 * m), blend=0.12, radii=(0.19, 0.20, 0.34))),
        Ball(Skin(rgb("#2a1210")), (0, 3.15, 0.80), blend=0.02, radii=(0.27, 0.12, 0.46 * m)),
        Bone(
            Skin(cream, (0, -0.9, -0.4), short * 0.8),
            (0, 3.04, 0.55),
            blend=0.05,
            reach=(0, -0.10, 0.62 * m),
            thick=(0.28, 0.17),
        ),
        Ball(
            Skin(rgb("#d9686e"), gloss=0.4),
            (0, 3.03, 0.74 + 0.56 * m),
            rotation(pitch=38),
            blend=0.02,
            radii=(0.14, 0.05, 0.30),
        ),
        Ball(
            Skin(dark, gloss=0.9),
            (0, 3.55, 0.70 + 0.82 * m),
            rotation(pitch=-15),
            blend=0.04,
            radii=(0.15, 0.11, 0.11),
        ),
        *pair(
            Ball(Skin(rgb("#050403")), (0.062, 3.53, 0.79 + 0.82 * m), radii=(0.035, 0.03, 0.04))
        ),
        Bone(
            Skin(rgb("#5a3a2a")),
            (0, 3.45, 0.60 + 0.84 * m),
            blend=0.03,
            reach=(0, -0.18, -0.02),
            thick=(0.022, 0.015),
        ),
        *pair(
            Ball(
                Skin(rgb("#4a2f1c")),
                (0.28, 3.80, 0.70),
                rotation(yaw=14, roll=-14),
                blend=0.05,
                radii=(0.165, 0.12, 0.09),
            ),
            Ball(
                Skin(dark, gloss=0.8, paint=eye_paint),
                (0.275, 3.80, 0.73),
                rotation(yaw=10, roll=-10),
                blend=0.01,
                radii=(0.118, 0.10, 0.095),
            ),
            Ball(
                Skin(ear, (0.25, -1.0, -0.1), 0.18 * s.hair),
                (0.68, 3.58, 0.05),
                rotation(roll=16, yaw=20),
                blend=0.12,
                radii=(0.13, 0.52 * s.ear_long, 0.34),
            ),
        ),
    ]


def body(s: Settings) -> list[Shape]:
    """Build the sitting body: haunches, barrel, chest, legs, paws and tail."""
    gold, cream, pale = rgb(s.gold), rgb(s.cream), rgb("#e2b877")
    long = 0.34 * s.hair
    coat = Skin(gold, (0.1, -1.0, 0.1), long)
    chest = Skin(cream, (0.0, -1.0, 0.15), long * 1.25)
    leg = Skin(pale, (0.0, -1.0, 0.0), long * 0.32)
    paw = Skin(cream, (0.0, -0.4, 1.0), long * 0.25)
    toes: list[Shape] = [
        Ball(paw, (0.40 + dx, 0.14, 1.20), blend=0.05, radii=(0.10, 0.12, 0.16))
        for dx in (-0.15, 0.0, 0.15)
    ]
    return [
        Ball(coat, (0, 1.35, -0.45), rotation(pitch=12), radii=(0.95, 1.3, 0.85)),
        *pair(
            Ball(coat, (0.90, 0.74, -0.35), blend=0.25, radii=(0.52, 0.74, 0.85)),
            Ball(paw, (1.02, 0.16, 0.62), blend=0.15, radii=(0.25, 0.17, 0.45)),
            Ball(coat, (0.55, 1.8, -0.05), blend=0.3, radii=(0.42, 0.6, 0.5)),
        ),
        Ball(chest, (0, 1.8, 0.22), blend=0.35, radii=(0.66, 0.85, 0.55)),
        Bone(coat, (0, 2.1, -0.05), blend=0.4, reach=(0, 0.85, 0.05), thick=(0.66, 0.56)),
        *pair(
            Bone(leg, (0.46, 1.55, 0.3), blend=0.10, reach=(-0.06, -1.3, 0.56), thick=(0.30, 0.19)),
            Ball(paw, (0.40, 0.17, 1.02), blend=0.12, radii=(0.25, 0.17, 0.30)),
            *toes,
        ),
        Bone(
            Skin(gold, (1.0, -0.3, 0.2), long * 1.3),
            (0.7, 0.3, -0.9),
            blend=0.2,
            reach=(1.0, -0.05, 0.75),
            thick=(0.26, 0.14),
        ),
    ]


def dog(s: Settings) -> list[Shape]:
    """Put a tilted head onto the body."""
    tilt = rotation(s.head_yaw, s.head_pitch, s.head_roll)
    neck, place = (0.0, 3.4, 0.0), (0.0, s.head_y, 0.12)
    return body(s) + [shape.moved(tilt, neck, s.head_size, place) for shape in head(s)]


def draw(size: int, s: Settings | None = None) -> Image.Image:
    """Draw the picture."""
    s = s or Settings()
    rng = np.random.default_rng(s.seed)
    canvas = size * OVERSAMPLE
    camera = Camera((0.0, s.eye_y, s.eye_z), (0.0, s.target_y, 0.0), s.zoom)
    light = Light(sun=(s.sun_x, 0.75, 0.65), sky=(0.72, 0.70, 0.66), ground=(0.34, 0.32, 0.16))
    subject = dog(s)
    view = render(subject, camera, size, light, 22.0)

    back = gradient(
        canvas,
        [
            (0.0, (0.36, 0.50, 0.26)),
            (0.35, (0.50, 0.62, 0.30)),
            (0.62, (0.60, 0.70, 0.34)),
            (0.75, (0.38, 0.52, 0.20)),
            (1.0, (0.24, 0.38, 0.12)),
        ],
    )
    mottle = noise(rng, canvas, canvas / 5, 2)[..., None] * np.array([0.06, 0.06, 0.03])
    amber = s.warmth * np.array([0.30, 0.04, -0.10])
    image = blur(picture((back + mottle + amber) * s.backdrop), 12)
    image = soft_lights(image, rng, 40, (1.0, 0.95, 0.6), 0.55, 0.0)

    blades = grass(subject, camera, canvas, rng, light, Meadow(height=0.27, bright=s.lawn))
    far, near = float(np.hypot(s.eye_z + 3.5, s.eye_y)), float(np.hypot(s.eye_z - 0.9, s.eye_y))
    paint(image, blades.only(blades.depths > far), 0.7, 1.15, 230)
    image = blur(image, 4.0)
    middle = (blades.depths <= far) & (blades.depths > near)
    paint(image, blades.only(middle), 0.7, 1.15, 235)
    image = blur(image, 0.8)
    furry(image, view, camera, rng, Coat(count=int(s.hairs * (size / 512) ** 2), tone=s.tone))
    paint(image, blades.only(blades.depths <= near), 0.7, 1.15, 235)
    return finish(image, size)


if __name__ == "__main__":
    main("dog", draw)
