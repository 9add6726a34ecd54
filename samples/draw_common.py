"""Canvas work for the sample pictures: noise, backgrounds, the ground, and saving the JPEG.

`draw_shapes` says what the subject is and how it is lit; this file puts it on a canvas.  A canvas
is a Pillow image twice as large as the picture, so that thin strokes come out smooth when
`finish` shrinks it.  Every random number comes from a generator with a fixed seed, so the same
script draws the same picture every time.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from draw_light import Camera, Light, View, sunlight
from draw_shapes import Array, Shape, Vector, distance
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

OVERSAMPLE = 2
MOST_BYTES = 120_000
UP = np.array([[0.0], [1.0], [0.0]])


def to_screen(light: Array) -> Array:
    """Turn linear light into display values 0 to 1, bright parts rolled off softly."""
    rolled = np.maximum(light, 0.0)
    rolled = rolled * (1.0 + rolled / 6.0) / (1.0 + rolled * 0.75)
    return np.asarray(np.clip(rolled, 0.0, 1.0) ** (1 / 2.2))


def picture(values: Array) -> Image.Image:
    """Make an image of display values, shape (height, width, 3)."""
    return Image.fromarray(np.uint8(np.clip(values, 0.0, 1.0) * 255 + 0.5))


def noise(rng: np.random.Generator, size: int, cell: float, octaves: int = 1) -> Array:
    """Return smooth noise with mean 0 and spread 1; its lumps are `cell` pixels wide."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        grid = max(2, round(size * 2**octave / cell))
        lumps = Image.fromarray(rng.standard_normal((grid, grid)).astype(np.float32))
        smooth = lumps.resize((size, size), Image.Resampling.BICUBIC)
        total += np.asarray(smooth, dtype=float) / 1.7**octave
    return np.asarray((total - total.mean()) / total.std())


def lookup(values: Array, where: Array) -> Array:
    """Return the values of a square field at pixel coordinates (2, n), clamped to its edges."""
    x, y = np.clip(where.astype(int), 0, values.shape[0] - 1)
    return np.asarray(values[y, x])


def gradient(size: int, stops: list[tuple[float, Vector]]) -> Array:
    """Return display values running from top (0.0) to bottom (1.0) through the given stops."""
    height = (np.arange(size) + 0.5) / size
    places = [place for place, _ in stops]
    rows = [np.interp(height, places, [colour[i] for _, colour in stops]) for i in range(3)]
    return np.broadcast_to(np.stack(rows, axis=-1)[:, None, :], (size, size, 3)).copy()


def soft_lights(
    image: Image.Image, rng: np.random.Generator, count: int, tint: Vector, low: float, top: float
) -> Image.Image:
    """Scatter pale out-of-focus discs between two heights (0 is the top of the picture)."""
    layer, size = Image.new("RGB", image.size), image.width
    for _ in range(count):
        x, y = rng.uniform(0, size), rng.uniform(top, low) * size
        radius, strength = rng.uniform(0.015, 0.05) * size, rng.uniform(0.08, 0.3)
        disc = Image.new("L", image.size)
        box = (x - radius, y - radius, x + radius, y + radius)
        ImageDraw.Draw(disc).ellipse(box, fill=int(255 * strength))
        colour = tuple(int(255 * c * rng.uniform(0.7, 1.0)) for c in tint)
        layer.paste(Image.new("RGB", image.size, colour), (0, 0), disc)
    blurred = np.asarray(layer.filter(ImageFilter.GaussianBlur(size / 220)), dtype=float) / 255
    base = np.asarray(image, dtype=float) / 255
    return picture(1.0 - (1.0 - base) * (1.0 - blurred))


def compose(image: Image.Image, view: View, bald_only: bool = False) -> None:
    """Put the shaded subject onto a canvas; `bald_only` puts back what hair must not cover."""
    size = view.mask.shape[0]
    values = np.zeros((size, size, 3))
    values[view.mask] = to_screen(view.colours).T
    cover = np.zeros((size, size))
    cover[view.mask] = (view.hair < 0.02) if bald_only else 1.0
    weight, spread = view.mask[..., None].astype(float), values
    for axis, step in ((0, 1), (0, -1), (1, 1), (1, -1)):  # colour past the edge, for smoothing
        weight = weight + np.roll(view.mask, step, axis)[..., None]
        spread = spread + np.roll(values, step, axis)
    values = np.where(view.mask[..., None], values, spread / np.maximum(weight, 1.0))
    target, smooth = image.size, Image.Resampling.BICUBIC
    shape = Image.fromarray(np.uint8(cover * 255)).resize(target, smooth)
    if size < image.width:
        shape = shape.filter(ImageFilter.GaussianBlur(0.7 * image.width / size))
    image.paste(picture(values).resize(target, smooth), (0, 0), shape)


def ground(camera: Camera, size: int) -> tuple[NDArray[np.bool_], Array]:
    """Return which pixels look at the ground y = 0, and the points (3, n) that they see."""
    rays = camera.rays(size)
    low = rays[1] < -0.004
    eye = np.asarray(camera.eye)[:, None]
    return low.reshape(size, size), eye - rays[:, low] * eye[1] / rays[1, low]


def ground_light(subject: Sequence[Shape], roots: Array, light: Light) -> Array:
    """Return the brightness of points on the ground, 0 to 1: sun, and darkness underneath."""
    under = np.clip(distance(subject, roots + UP * 0.05) / 0.7, 0.0, 1.0)
    return np.asarray((0.3 + 0.7 * sunlight(subject, roots + UP * 0.02, light)) * (under**0.5))


def shadow_map(camera: Camera, size: int, subject: Sequence[Shape], light: Light) -> Array:
    """Return `ground_light` for every pixel (1 above the horizon), worked out coarsely."""
    low, points = ground(camera, size // 4)
    coarse = np.ones(low.shape, dtype=np.float32)
    coarse[low] = ground_light(subject, points, light)
    smooth = Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(np.clip(np.asarray(smooth, dtype=float), 0.0, 1.0))


def blur(image: Image.Image, radius: float) -> Image.Image:
    """Blur a canvas; `radius` is in thousandths of its width."""
    return image.filter(ImageFilter.GaussianBlur(radius * image.width / 1000))


def finish(image: Image.Image, size: int, vignette: float = 0.22) -> Image.Image:
    """Shrink the canvas to the picture and darken its corners a little."""
    small = image.resize((size, size), Image.Resampling.LANCZOS)
    across = np.linspace(-1.0, 1.0, size)
    corner = (across[:, None] ** 2 + across[None, :] ** 2) / 2.0
    return picture(np.asarray(small, dtype=float) / 255 * (1.0 - vignette * corner**2)[..., None])


def jpeg(image: Image.Image) -> bytes:
    """Encode with the best quality that stays under the size limit."""
    for quality in range(92, 40, -3):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= MOST_BYTES:
            break
    return buffer.getvalue()


def main(name: str, draw: Callable[[int], Image.Image]) -> None:
    """Run a drawing script: read --out and --size, draw, write NAME.jpg."""
    parser = argparse.ArgumentParser(description=f"Draw {name}.jpg, the same every time.")
    here = Path(__file__).parent
    parser.add_argument("--out", type=Path, default=here, metavar="DIR", help="folder to write to")
    parser.add_argument("--size", type=int, default=512, help="width and height in pixels")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    target = options.out / f"{name}.jpg"
    target.write_bytes(jpeg(draw(options.size)))
    print(f"wrote {target}")
