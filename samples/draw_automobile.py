"""Draw automobile.jpg: a red family car on an empty road."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from draw_common import (
    OVERSAMPLE,
    blur,
    compose,
    finish,
    gradient,
    ground,
    main,
    noise,
    picture,
    shadow_map,
)
from draw_light import Camera, Light, render
from draw_shapes import Array, Ball, Bone, Box, Disc, Shape, Skin, Slab, rgb, rotation
from PIL import Image

WHEELS = (-1.32, 1.38)


@dataclass(frozen=True)
class Settings:
    """What may be varied; the defaults were chosen by eye and by what the models answered."""

    seed: int = 2
    colour: str = "#b3161b"
    heading: float = -36.0
    eye_y: float = 1.95
    target_x: float = 0.0
    target_y: float = 0.78
    zoom: float = 0.183
    roof: float = 1.0
    wheel: float = 0.37


def both(*shapes: Shape) -> list[Shape]:
    """Return shapes and their reflections on the car's other side, z = 0."""
    quarter, back = rotation(yaw=90), rotation(yaw=-90)
    origin = (0.0, 0.0, 0.0)
    turned = [shape.moved(quarter, origin).mirrored().moved(back, origin) for shape in shapes]
    return [*shapes, *turned]


def car(s: Settings) -> list[Shape]:
    """Build the car, its nose towards +x, its wheels on y = 0."""
    dark, chrome = Skin(rgb("#101114"), gloss=0.2), Skin(rgb("#c9ccd0"), gloss=0.6)
    red = rgb(s.colour)

    def panels(local: Array, colours: Array) -> Array:
        x, y, _ = local
        gap = np.zeros(x.shape, dtype=bool)
        for wheel in WHEELS:
            gap |= np.hypot(x - wheel, y - s.wheel) < s.wheel + 0.075
        sill = y < 0.27
        seam = (y > 0.3) & (y < 1.0) & (np.minimum(np.abs(x - 0.78), np.abs(x + 0.28)) < 0.011)
        seam |= (np.abs(x + 1.02 - 0.3 * (y - 0.6)) < 0.011) & (y > 0.5)
        handle = (np.abs(y - 0.84) < 0.02) & (np.minimum(np.abs(x + 0.12), np.abs(x + 0.85)) < 0.08)
        colours = np.where(handle, 0.6, np.where(seam, colours * 0.2, colours))
        return np.where(gap | sill, 0.012, colours)

    def spokes(local: Array, colours: Array) -> Array:
        x, y, _ = local
        around, out = np.arctan2(y, x), np.hypot(x, y)
        hole = (np.cos(around * 5.0) > 0.1) & (out > 0.07) & (out < 0.22)
        return np.where(hole, 0.02, colours)

    paint = Skin(red, gloss=0.55, paint=panels)
    plain = Skin(red, gloss=0.55)
    glass = Skin(rgb("#1c262e"), gloss=1.0)
    top = 0.95 + 0.55 * s.roof
    lower = (
        (-2.15, 0.22), (-2.2, 0.62), (-2.12, 0.94), (-1.6, 1.02), (0.95, 0.98),
        (1.75, 0.86), (2.08, 0.70), (2.16, 0.48), (2.1, 0.22),
    )  # fmt: skip
    cabin = ((-1.85, 0.9), (-1.25, top - 0.03), (0.0, top), (1.12, 0.9))
    roof = ((-1.42, top - 0.1), (-1.2, top + 0.015), (0.02, top + 0.035), (0.2, top - 0.07))
    width = 0.87
    wheels: list[Shape] = []
    for x in WHEELS:
        wheels += [
            Disc(Skin(rgb("#17181a")), (x, s.wheel, 0.76), radius=s.wheel, half=0.13, edge=0.06),
            Disc(
                Skin(rgb("#c3c7cc"), gloss=0.4, paint=spokes),
                (x, s.wheel, 0.80),
                radius=s.wheel * 0.66,
                half=0.11,
                edge=0.02,
            ),
        ]
    lean = 0.30  # how far the sides of the cabin lean inward, per unit of height
    up = top - 0.9

    def post(low: float, high: float, thick: float) -> Shape:
        """Return a pillar of the cabin that runs from the waist at `low` to the roof at `high`."""
        waist = width - 0.09
        reach = (high - low, up - 0.10, -lean * (up - 0.04))
        return Bone(plain, (low, 0.92, waist), reach=reach, thick=(thick, thick))

    return [
        Slab(paint, (0, 0, 0), outline=lower, half=width + 0.03, edge=0.19, taper=0.05),
        Slab(glass, (0, 0, 0), outline=cabin, half=width - 0.06 + lean * 0.9, edge=0.1, taper=lean),
        Slab(
            plain,
            (0, 0, 0),
            blend=0.02,
            outline=roof,
            half=width + lean * 0.93,
            edge=0.05,
            taper=lean,
        ),
        *both(
            *wheels,
            post(1.08, 0.12, 0.045),
            post(-0.32, -0.40, 0.035),
            post(-1.76, -1.30, 0.07),
            Ball(plain, (0.86, 1.06, 0.98), blend=0.03, radii=(0.09, 0.08, 0.13)),
            Ball(
                Skin(rgb("#9aa5ac"), gloss=0.7),
                (2.0, 0.68, 0.60),
                rotation(yaw=-30, roll=-12),
                blend=0.02,
                radii=(0.11, 0.075, 0.20),
            ),
            Ball(Skin(rgb("#e8a33c"), gloss=0.6), (2.02, 0.36, 0.66), radii=(0.1, 0.05, 0.1)),
        ),
        Box(dark, (2.08, 0.56, 0), rotation(roll=12), half=(0.07, 0.09, 0.40), edge=0.03),
        Box(chrome, (2.145, 0.60, 0), half=(0.03, 0.012, 0.36), edge=0.01),
        Box(dark, (2.1, 0.30, 0), half=(0.06, 0.06, 0.52), edge=0.03),
        Box(Skin(rgb("#f4f4ee")), (2.17, 0.42, 0), half=(0.02, 0.055, 0.2), edge=0.01),
    ]


def road(
    s: Settings, canvas: int, camera: Camera, subject: list[Shape], light: Light
) -> Image.Image:
    """Paint sky, a blurred row of trees, and asphalt with the car's shadow."""
    rng = np.random.default_rng(s.seed)
    half = canvas // 2
    sky = [(0.0, (0.45, 0.66, 0.88)), (0.3, (0.86, 0.92, 0.95)), (1.0, (0.86, 0.92, 0.95))]
    values = gradient(half, sky)
    low, points = ground(camera, half)
    horizon = float(np.argmax(low.any(axis=1)))
    rows = np.arange(half)[:, None]
    height = half * (0.12 + 0.02 * noise(rng, half, half / 12, 2)[:1])
    trees = np.clip((rows - (horizon - height)) / 6.0, 0.0, 1.0)[..., None]
    leaves = np.array([0.26, 0.38, 0.20]) * (1.0 + 0.22 * noise(rng, half, 16, 3)[..., None])
    values += (leaves - values) * trees
    x, _, z = points
    verge = z < -5.5
    speckle = noise(rng, half, 3, 2)[low]
    shade = shadow_map(camera, half, subject, light)[low]
    asphalt = np.array([[0.50], [0.50], [0.51]]) * (1.0 + 0.05 * speckle)
    line = (np.abs(z + 3.2) < 0.09) & ((x % 3.0) < 1.8)
    asphalt = np.where(line, 0.88, asphalt)
    grass = np.array([[0.40], [0.52], [0.22]]) * (1.0 + 0.08 * speckle)
    values[low] = (np.where(verge, grass, asphalt) * (0.22 + 0.78 * shade)).T
    sharp = picture(values).resize((canvas, canvas), Image.Resampling.BICUBIC)
    near = gradient(canvas, [(0.45, (0.0,) * 3), (0.65, (1.0,) * 3)])[..., 0]
    return Image.composite(blur(sharp, 0.8), blur(sharp, 7), Image.fromarray(np.uint8(near * 255)))


def draw(size: int, s: Settings | None = None) -> Image.Image:
    """Draw the picture."""
    s = s or Settings()
    canvas = size * OVERSAMPLE
    camera = Camera((0.0, s.eye_y, 13.0), (s.target_x, s.target_y, 0.0), s.zoom)
    light = Light(sun=(-0.4, 0.85, 0.6), sky=(0.72, 0.82, 0.95), ground=(0.34, 0.34, 0.34))
    turn = rotation(yaw=s.heading)
    subject = [shape.moved(turn, (0.0, 0.0, 0.0)) for shape in car(s)]
    image = road(s, canvas, camera, subject, light)
    compose(image, render(subject, camera, canvas, light, 26.0))
    return finish(image, size, vignette=0.15)


if __name__ == "__main__":
    main("automobile", draw)
