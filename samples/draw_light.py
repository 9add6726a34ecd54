"""Eye and light for the sample pictures: a very small ray marcher in numpy.

`render` walks a ray from the eye through every pixel until it touches the subject and returns
what it found there, shaded by a sun, its shadows and a sky.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from draw_shapes import Array, Shape, Vector, distance, surface, turned, unit
from numpy.typing import NDArray


@dataclass(frozen=True)
class Camera:
    """An eye that looks at a point; `zoom` is the frame's half height at distance one."""

    eye: Vector
    target: Vector
    zoom: float
    roll: float = 0.0

    def axes(self) -> Array:
        """Return the directions right, up and backward as the rows of a matrix."""
        back = unit((np.asarray(self.eye) - np.asarray(self.target))[:, None])[:, 0]
        right = unit(np.cross([0.0, 1.0, 0.0], back)[:, None])[:, 0]
        up = np.cross(back, right)
        tilt = np.radians(self.roll)
        return np.array(
            [
                right * np.cos(tilt) + up * np.sin(tilt),
                up * np.cos(tilt) - right * np.sin(tilt),
                back,
            ]
        )

    def rays(self, size: int) -> Array:
        """Return the direction through each pixel's centre, shape (3, size * size)."""
        steps = (np.arange(size) + 0.5) / size * 2.0 - 1.0
        x, y = np.meshgrid(steps * self.zoom, -steps * self.zoom)
        flat = np.stack([x.ravel(), y.ravel(), -np.ones(size * size)])
        return unit(turned(self.axes().T, flat))

    def project(self, points: Array, size: int) -> Array:
        """Return the pixel coordinates (2, n) at which world points appear."""
        x, y, z = turned(self.axes(), points - np.asarray(self.eye)[:, None])
        scale = size / (2.0 * self.zoom * np.maximum(-z, 1e-3))
        return np.stack([x * scale + size / 2, -y * scale + size / 2])


@dataclass(frozen=True)
class Light:
    """A sun (direction towards it, colour) and the light of sky and ground."""

    sun: Vector = (-0.5, 0.8, 0.6)
    sun_colour: Vector = (2.3, 2.1, 1.8)
    sky: Vector = (0.55, 0.62, 0.72)
    ground: Vector = (0.22, 0.24, 0.14)
    wrap: float = 0.25
    shadow: float = 10.0


@dataclass(frozen=True)
class View:
    """What the rays found: a mask (size, size) and, for the pixels hit, columns of values."""

    mask: NDArray[np.bool_]
    points: Array
    normals: Array
    colours: Array
    flow: Array
    hair: Array

    def above(self, height: float) -> View:
        """Return the view without what lies lower, under water for instance."""
        keep = self.points[1] > height
        mask = self.mask.copy()
        mask[self.mask] = keep
        columns = (self.points, self.normals, self.colours, self.flow)
        points, normals, colours, flow = (values[:, keep] for values in columns)
        return View(mask, points, normals, colours, flow, self.hair[keep])


def march(
    shapes: Sequence[Shape], start: Array, rays: Array, near: Array, far: float, steps: int
) -> Array:
    """Walk each ray to the surface; return the distances, infinite where nothing was met."""
    travelled = near.copy()
    active = np.arange(rays.shape[1])
    result = np.full(rays.shape[1], np.inf)
    for _ in range(steps):
        gap = distance(shapes, start[:, active] + rays[:, active] * travelled[active])
        travelled[active] += gap * 0.9
        done = gap < 2e-3
        result[active[done]] = travelled[active[done]]
        active = active[~done & (travelled[active] < far)]
        if not active.size:
            break
    return result


def sunlight(shapes: Sequence[Shape], points: Array, light: Light) -> Array:
    """Return how much of the sun reaches points: 0 in full shadow, 1 in the open."""
    ray = unit(np.asarray(light.sun)[:, None])
    open_sky = np.ones(points.shape[1])
    travelled = np.full(points.shape[1], 0.08)
    for _ in range(14):
        gap = distance(shapes, points + ray * travelled)
        open_sky = np.minimum(open_sky, np.clip(0.5 + 0.5 * light.shadow * gap / travelled, 0, 1))
        travelled = travelled + np.clip(gap, 0.06, 0.6)
    return open_sky * open_sky * (3.0 - 2.0 * open_sky)


def shade(shapes: Sequence[Shape], view: View, gloss: Array, eye: Vector, light: Light) -> Array:
    """Return the light that the found points send to the eye."""
    points, normals = view.points, view.normals
    sun = unit(np.asarray(light.sun)[:, None])
    facing = ((normals * sun).sum(axis=0) + light.wrap) / (1.0 + light.wrap)
    lit = np.clip(facing, 0.0, 1.0) * sunlight(shapes, points + normals * 0.03, light)
    hidden = np.zeros_like(lit)
    for reach in (0.08, 0.2, 0.45):
        hidden += np.clip(reach - distance(shapes, points + normals * reach), 0, reach) / reach
    open_air = np.clip(1.0 - 0.3 * hidden, 0.0, 1.0)
    up = (0.5 + 0.5 * normals[1]) * np.ones((3, 1))
    sky, ground = np.asarray(light.sky)[:, None], np.asarray(light.ground)[:, None]
    around = (ground + (sky - ground) * up) * open_air
    sun_colour = np.asarray(light.sun_colour)[:, None]
    colours = view.colours * (around + sun_colour * lit)
    to_eye = unit(np.asarray(eye)[:, None] - points)
    glint = np.clip((unit(sun + to_eye) * normals).sum(axis=0), 0.0, 1.0)
    grazing = (1.0 - np.clip((normals * to_eye).sum(axis=0), 0.0, 1.0)) ** 4
    mirror = sky * np.clip(2.0 * normals[1] * 0.6 + 0.4, 0.0, 1.2) * (0.06 + 0.6 * grazing)
    spark = sun_colour * (glint**60 * lit) * 1.2
    return np.asarray(colours + gloss * (mirror + spark) + 0.10 * sky * grazing * open_air)


def render(shapes: Sequence[Shape], camera: Camera, size: int, light: Light, far: float) -> View:
    """Look at the subject: a coarse look finds where it is, a fine one its surface."""
    eye, coarse = np.asarray(camera.eye)[:, None], size // 4
    rays = camera.rays(coarse)
    start = np.broadcast_to(eye, rays.shape)
    reach = max(far * 0.02, 0.1)
    first = march(shapes, start, rays, np.full(rays.shape[1], 1.0), far, 70)
    grid = np.pad(first.reshape(coarse, coarse), 1, constant_values=np.inf)
    nearby = [grid[i : i + coarse, j : j + coarse] for i in range(3) for j in range(3)]
    closest = np.min(nearby, axis=0).repeat(4, axis=0).repeat(4, axis=1)
    spare = size - closest.shape[0]
    closest = np.pad(closest, ((0, spare), (0, spare)), constant_values=np.inf).ravel()
    chosen = np.flatnonzero(np.isfinite(closest))
    rays = camera.rays(size)[:, chosen]
    start = np.broadcast_to(eye, rays.shape)
    found = march(shapes, start, rays, closest[chosen] - reach, far, 50)
    hit = np.isfinite(found)
    mask = np.zeros(size * size, dtype=bool)
    mask[chosen[hit]] = True
    points = eye + rays[:, hit] * found[hit]
    normals = np.zeros_like(points)
    for corner in ((1, -1, -1), (-1, -1, 1), (-1, 1, -1), (1, 1, 1)):
        offset = np.asarray(corner, dtype=float)[:, None]
        normals += offset * distance(shapes, points + offset * 1.5e-3)
    skin = surface(shapes, points)
    view = View(mask.reshape(size, size), points, unit(normals), skin[:3], skin[3:6], skin[6])
    return replace(view, colours=shade(shapes, view, skin[7], camera.eye, light))
