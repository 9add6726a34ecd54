"""Solid shapes for the sample pictures.

A subject (a dog, a ship) is a list of shapes: balls, bones (tapered rods), boxes and slabs
(outlines cut from a thick board).  Each shape answers one question: how far is a point from my
surface?  Neighbouring shapes melt into each other over their `blend` width, which is what turns
a heap of ellipsoids into an animal.  `draw_light` looks at the shapes and lights them.

The world: x to the right, y up, z towards the viewer, the ground at y = 0.  Points are arrays of
shape (3, n).  Colours are linear light, not sRGB; `rgb` converts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Vector = tuple[float, float, float]
Paint = Callable[[Array, Array], Array]  # (points in the shape's frame, its colours) -> colours


def rgb(code: str) -> Vector:
    """Turn "#rrggbb" into linear light."""
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red**2.2, green**2.2, blue**2.2


def rotation(yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Rotate by degrees: roll about z first, then pitch about x, then yaw about y."""
    (cy, cp, cr), (sy, sp, sr) = (f(np.radians([yaw, pitch, roll])) for f in (np.cos, np.sin))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z)


def turned(turn: Array, vectors: Array) -> Array:
    """Return `turn @ vectors`, summed in a fixed order: every processor draws the same picture."""
    x, y, z = vectors
    return np.asarray(turn[:, 0:1] * x + turn[:, 1:2] * y + turn[:, 2:3] * z)


def length(vectors: Array) -> Array:
    """Return the length of each column."""
    return np.asarray(np.sqrt((vectors * vectors).sum(axis=0)))


def unit(vectors: Array) -> Array:
    """Scale each column to length one."""
    return vectors / np.maximum(length(vectors), 1e-9)


@dataclass(frozen=True)
class Skin:
    """What a surface looks like: colour, how the hair lies and how long it is, how it shines."""

    colour: Vector
    flow: Vector = (0.0, -1.0, 0.0)
    hair: float = 0.0
    gloss: float = 0.0
    paint: Paint | None = None


@dataclass(frozen=True)
class Shape:
    """A solid in its own frame, which `origin`, `turn` and `scale` place in the world."""

    skin: Skin
    origin: Vector
    turn: Array = field(default_factory=rotation)
    blend: float = 0.0
    scale: float = 1.0

    def depth_of(self, local: Array) -> Array:
        """Return the signed distance of points in the shape's own frame."""
        raise NotImplementedError

    def local(self, points: Array) -> Array:
        """Move world points into the shape's own frame."""
        return turned(self.turn.T, points - np.asarray(self.origin)[:, None]) / self.scale

    def distance(self, points: Array) -> Array:
        """Return the signed distance of world points from the surface."""
        return self.depth_of(self.local(points)) * self.scale

    def moved(
        self, turn: Array, pivot: Vector, scale: float = 1.0, to: Vector | None = None
    ) -> Shape:
        """Return the shape turned and scaled about `pivot`, which then moves to `to`."""
        centre, place = np.asarray(pivot), np.asarray(to or pivot)
        x, y, z = (float(v) for v in turn @ (np.asarray(self.origin) - centre) * scale + place)
        u, v, w = (float(c) for c in turn @ np.asarray(self.skin.flow))
        skin = replace(self.skin, flow=(u, v, w), hair=self.skin.hair * scale)
        return replace(
            self,
            skin=skin,
            origin=(x, y, z),
            turn=turn @ self.turn,
            scale=self.scale * scale,
            blend=self.blend * scale,
        )

    def mirrored(self) -> Shape:
        """Return its reflection in the plane x = 0; the paint is not reflected."""
        (x, y, z), (u, v, w), flip = self.origin, self.skin.flow, np.diag([-1.0, 1.0, 1.0])
        skin = replace(self.skin, flow=(-u, v, w))
        return replace(self, skin=skin, origin=(-x, y, z), turn=flip @ self.turn @ flip)


@dataclass(frozen=True)
class Ball(Shape):
    """An ellipsoid."""

    radii: Vector = (1.0, 1.0, 1.0)

    def depth_of(self, local: Array) -> Array:
        scaled = local / np.asarray(self.radii)[:, None]
        near = length(scaled)
        steep = length(scaled / np.asarray(self.radii)[:, None])
        return np.asarray(near * (near - 1.0) / np.maximum(steep, 1e-9))


@dataclass(frozen=True)
class Bone(Shape):
    """A rod with round ends from `origin` to `origin + turn @ reach`, of two thicknesses."""

    reach: Vector = (0.0, 1.0, 0.0)
    thick: tuple[float, float] = (0.5, 0.5)

    def depth_of(self, local: Array) -> Array:
        reach = np.asarray(self.reach)[:, None]
        along = np.clip((local * reach).sum(axis=0) / (reach * reach).sum(), 0.0, 1.0)
        start, end = self.thick
        return np.asarray(length(local - reach * along) - (start + (end - start) * along))

    def mirrored(self) -> Shape:
        x, y, z = self.reach
        mirror = super().mirrored()
        assert isinstance(mirror, Bone)
        return replace(mirror, reach=(-x, y, z))


@dataclass(frozen=True)
class Box(Shape):
    """A box with rounded edges."""

    half: Vector = (1.0, 1.0, 1.0)
    edge: float = 0.1

    def depth_of(self, local: Array) -> Array:
        beyond = np.abs(local) - (np.asarray(self.half) - self.edge)[:, None]
        return np.asarray(
            length(np.maximum(beyond, 0.0)) + np.minimum(beyond.max(axis=0), 0.0) - self.edge
        )


@dataclass(frozen=True)
class Disc(Shape):
    """A round plate with rounded edges; its axis is z."""

    radius: float = 1.0
    half: float = 0.1
    edge: float = 0.05

    def depth_of(self, local: Array) -> Array:
        flat = length(local[:2]) - self.radius + self.edge
        thick = np.abs(local[2]) - self.half + self.edge
        outside = np.sqrt(np.maximum(flat, 0.0) ** 2 + np.maximum(thick, 0.0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(flat, thick), 0.0) - self.edge)


@dataclass(frozen=True)
class Slab(Shape):
    """An outline in x and y cut from a board of thickness 2 * `half` along z, edges rounded.

    `taper` narrows the board with height: its half thickness shrinks by `taper` per unit of y.
    """

    outline: tuple[tuple[float, float], ...] = ()
    half: float = 1.0
    edge: float = 0.1
    taper: float = 0.0

    def depth_of(self, local: Array) -> Array:
        x, y, z = local
        nearest = np.full(x.shape, np.inf)
        inside = np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(
            self.outline, self.outline[1:] + self.outline[:1], strict=True
        ):
            ex, ey, px, py = bx - ax, by - ay, x - ax, y - ay
            along = np.clip((px * ex + py * ey) / (ex * ex + ey * ey), 0.0, 1.0)
            nearest = np.minimum(nearest, (px - ex * along) ** 2 + (py - ey * along) ** 2)
            if ay != by:
                inside ^= ((ay > y) != (by > y)) & (px < ex * py / ey)
        flat = np.where(inside, -1.0, 1.0) * np.sqrt(nearest) + self.edge
        thick = np.abs(z) - (self.half - self.taper * y) + self.edge
        outside = np.sqrt(np.maximum(flat, 0.0) ** 2 + np.maximum(thick, 0.0) ** 2)
        return np.asarray(outside + np.minimum(np.maximum(flat, thick), 0.0) - self.edge)

    def mirrored(self) -> Shape:
        mirror = super().mirrored()
        assert isinstance(mirror, Slab)
        return replace(mirror, outline=tuple((-x, y) for x, y in self.outline))


def pair(*shapes: Shape) -> list[Shape]:
    """Return the shapes and their reflections in x = 0."""
    return [side for shape in shapes for side in (shape, shape.mirrored())]


def distance(shapes: Sequence[Shape], points: Array) -> Array:
    """Return how far points are from the melted-together shapes."""
    total = np.full(points.shape[1], 1e6)
    for shape in shapes:
        near = shape.distance(points)
        if shape.blend:
            mix = np.clip(0.5 + 0.5 * (total - near) / shape.blend, 0.0, 1.0)
            total = total + (near - total) * mix - shape.blend * mix * (1.0 - mix)
        else:
            total = np.minimum(total, near)
    return total


def surface(shapes: Sequence[Shape], points: Array) -> Array:
    """Return colour (3 rows), hair direction (3), hair length and gloss of points on the skin."""
    total = np.full(points.shape[1], 1e6)
    found = np.zeros((8, points.shape[1]))
    for shape in shapes:
        skin, near = shape.skin, shape.distance(points)
        own = np.empty_like(found)
        own[:] = np.array([*skin.colour, *skin.flow, skin.hair, skin.gloss])[:, None]
        if skin.paint is not None:
            own[:3] = skin.paint(shape.local(points), own[:3])
        mix = np.clip(0.5 + 0.5 * (total - near) / max(shape.blend, 1e-3), 0.0, 1.0)
        found += (own - found) * mix
        total = total + (near - total) * mix - shape.blend * mix * (1.0 - mix)
    return found
