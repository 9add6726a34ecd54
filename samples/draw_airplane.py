"""Draw airplane.jpg: an airliner among summer clouds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from draw_common import OVERSAMPLE, blur, compose, finish, gradient, main, noise, picture
from draw_light import Camera, Light, render
from draw_shapes import Array, Ball, Bone, Disc, Shape, Skin, Slab, pair, rgb, rotation
from PIL import Image


@dataclass(frozen=True)
class Settings:
    """What may be varied; the defaults were chosen by eye and by what the models answered."""

    seed: int = 11
    white: str = "#f2f4f6"
    livery: str = "#1f4e9c"
    heading: float = -60.0
    climb: float = 4.0
    bank: float = -14.0
    eye_y: float = 3.5
    target_x: float = -0.05
    target_y: float = 0.05
    span: float = 1.0
    zoom: float = 0.325
    clouds: float = 0.55
    sky_top: tuple[float, float, float] = (0.20, 0.44, 0.78)
    sky_low: tuple[float, float, float] = (0.70, 0.85, 0.96)


def plane(s: Settings) -> list[Shape]:
    """Build the aircraft flying towards +z, its centre at the origin; x runs along the wings."""
    white, livery, metal = rgb(s.white), rgb(s.livery), rgb("#b9c0c8")

    def cabin(local: Array, colours: Array, at: tuple[float, ...]) -> Array:
        x, y, z = local + np.asarray(at)[:, None]
        side = np.abs(x) > 0.2
        row = (np.abs(y - 0.10) < 0.045) & (np.abs(z) < 2.9) & side
        windows = row & (np.abs((z * 5.0) % 1.0 - 0.5) < 0.26)
        glass = (y > 0.10) & (y < 0.24) & (z > 3.42) & (z < 3.72)
        doors = (np.abs(np.abs(z) - 3.1) < 0.10) & (y > -0.16) & (y < 0.22) & side
        stripe = (y < -0.06) & (y > -0.13)
        belly = y < -0.16
        colours = np.where(belly, np.array([[0.55], [0.58], [0.62]]), colours)
        colours = np.where(stripe, np.asarray(livery)[:, None], colours)
        colours = np.where(doors, colours * 0.8, colours)
        return np.where(windows | glass, 0.02, colours)

    def hull(*at: float) -> Skin:
        """Return the skin of a part of the fuselage that stands at the given place."""
        return Skin(white, gloss=0.35, paint=partial(cabin, at=at))

    wing = Skin(metal, gloss=0.25)
    blue = Skin(livery, gloss=0.35)
    # Outlines seen from above: x outward, y forward.
    w = s.span
    main_wing = ((0.2, 0.95), (3.9 * w, -1.05), (3.95 * w, -1.45), (1.4, -0.75), (0.2, -0.85))
    stabiliser = ((0.1, 0.45), (1.45, -0.45), (1.45, -0.75), (0.1, -0.45))
    fin = ((-0.85, 0.0), (0.45, 0.0), (-0.5, 1.35), (-0.95, 1.35))
    flat = rotation(pitch=90, yaw=0)
    return [
        Bone(hull(0, 0, -2.7), (0, 0, -2.7), reach=(0, 0, 5.6), thick=(0.42, 0.42)),
        Ball(hull(0, -0.02, 2.9), (0, -0.02, 2.9), blend=0.2, radii=(0.41, 0.41, 1.05)),
        Bone(
            hull(0, 0.02, -2.7),
            (0, 0.02, -2.7),
            blend=0.3,
            reach=(0, 0.22, -1.6),
            thick=(0.40, 0.10),
        ),
        Ball(Skin(white, gloss=0.3), (0, -0.3, 0.2), blend=0.15, radii=(0.42, 0.24, 1.3)),
        *pair(
            Slab(
                wing,
                (0.1, -0.26, 0.1),
                rotation(roll=6) @ flat,
                blend=0.10,
                outline=main_wing,
                half=0.075,
                edge=0.05,
            ),
            Slab(
                wing,
                (0.1, 0.16, -3.5),
                rotation(roll=5) @ flat,
                blend=0.06,
                outline=stabiliser,
                half=0.05,
                edge=0.04,
            ),
            Slab(
                blue,
                (3.93 * w + 0.05, 0.14, -1.12),
                rotation(yaw=-90, roll=0),
                blend=0.05,
                outline=((-0.25, 0.0), (0.15, 0.0), (-0.1, 0.42), (-0.25, 0.42)),
                half=0.04,
                edge=0.03,
            ),
            Bone(blue, (1.35, -0.50, 0.1), reach=(0, 0, 0.75), thick=(0.20, 0.27)),
            Disc(Skin(metal, gloss=0.5), (1.35, -0.50, 0.98), radius=0.28, half=0.10, edge=0.05),
            Disc(Skin(rgb("#15171a")), (1.35, -0.50, 1.06), radius=0.21, half=0.04, edge=0.01),
            Slab(
                wing,
                (1.35, -0.42, 0.3),
                rotation(yaw=-90),
                outline=((-0.5, 0.0), (0.4, -0.05), (0.2, 0.24), (-0.5, 0.24)),
                half=0.05,
                edge=0.03,
            ),
        ),
        Slab(
            blue,
            (0, 0.32, -3.45),
            rotation(yaw=-90),
            blend=0.08,
            outline=fin,
            half=0.06,
            edge=0.05,
        ),
    ]


def sky(s: Settings, canvas: int) -> Image.Image:
    """Paint a blue sky with soft white clouds, thicker towards the bottom."""
    rng = np.random.default_rng(s.seed)
    half = canvas // 2
    values = gradient(half, [(0.0, s.sky_top), (1.0, s.sky_low)])
    billow = noise(rng, half, half / 2.2, 6)
    thick = np.linspace(-1.4, 0.9, half)[:, None]
    cover = np.clip((billow + thick) * 0.55, 0.0, 1.0) * s.clouds
    shaded = 0.93 + 0.05 * np.clip(billow - np.roll(billow, 14, axis=0), -1.0, 1.0)
    cloud = shaded[..., None] * np.array([1.0, 1.01, 1.03])
    values += (cloud - values) * cover[..., None]
    return blur(picture(values).resize((canvas, canvas), Image.Resampling.BICUBIC), 2.0)


def draw(size: int, s: Settings | None = None) -> Image.Image:
    """Draw the picture."""
    s = s or Settings()
    canvas = size * OVERSAMPLE
    camera = Camera((0.0, s.eye_y, 13.0), (s.target_x, s.target_y, 0.0), s.zoom)
    light = Light(sun=(-0.4, 0.9, 0.5), sky=(0.70, 0.82, 1.0), ground=(0.50, 0.55, 0.62))
    turn = rotation(s.heading, -s.climb, s.bank)
    subject = [shape.moved(turn, (0.0, 0.0, 0.0)) for shape in plane(s)]
    image = sky(s, canvas)
    compose(image, render(subject, camera, canvas, light, 24.0))
    return finish(image, size, vignette=0.1)


if __name__ == "__main__":
    main("airplane", draw)
