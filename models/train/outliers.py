"""Pictures of none of the ten classes, made from pictures of them.

They keep the colours, textures and edges of photographs and lose what makes an aeroplane or a cat
of them: torn apart, mixed, distorted, enlarged until no subject is left, or drawn from chance. The
network learns to answer "none of these" to them. No other collection of pictures is needed.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 32


def make_outliers(images: Tensor, labels: Tensor, count: int) -> Tensor:
    """Make ``float [count, 3, 32, 32]`` on 0..255 from a batch ``[N, 3, 32, 32]`` of one split.

    ``labels`` are the pictures' classes: what is mixed is of different classes.
    """
    order = torch.randperm(len(images), device=images.device)[:count]
    shares = torch.multinomial(torch.tensor(WEIGHTS), count, replacement=True).to(images.device)
    result = images[order].clone()
    for number, make in enumerate(MAKERS):
        rows = (shares == number).nonzero().flatten()
        if len(rows):
            chosen = order[rows]
            result[rows] = make(images[chosen], _others(images, labels, labels[chosen]))
    return result.clamp(0, 255)


def _others(images: Tensor, labels: Tensor, classes: Tensor) -> Tensor:
    """For every class, a picture of another one."""
    other = (labels[None, :] != classes[:, None]).float() + 1e-6
    return images[torch.multinomial(other, 1).flatten()]


def _field(x: Tensor, channels: int, cells: int) -> Tensor:
    """Smooth chance: ``[N, channels, 32, 32]``, about normal, with ``cells`` bumps a side."""
    coarse = torch.randn(len(x), channels, cells, cells, device=x.device)
    return functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic", align_corners=False)


def _torn(x: Tensor, other: Tensor) -> Tensor:
    """Shuffle the tiles of each picture and turn some of them over."""
    del other
    tile = 8 if torch.rand(()) < 0.6 else 4
    tiles = functional.unfold(x, tile, stride=tile)
    for row in range(len(x)):
        tiles[row] = tiles[row][:, torch.randperm(tiles.shape[2])]
    torn = functional.fold(tiles, (SIDE, SIDE), tile, stride=tile)
    return torn.flip(2) if torch.rand(()) < 0.5 else torn


def _bent(x: Tensor, other: Tensor) -> Tensor:
    """Bend a mixture of two pictures until no shape is left; textures and edges stay."""
    mixed = _patchwork(x, other)
    still = torch.eye(2, 3, device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(still, [len(x), 3, SIDE, SIDE], align_corners=False)
    strength = torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(0.2, 0.6)
    grid = grid + strength * _field(x, 2, 5).permute(0, 2, 3, 1)
    return functional.grid_sample(mixed, grid, padding_mode="reflection", align_corners=False)


def _patchwork(x: Tensor, other: Tensor) -> Tensor:
    """Fill the blobs of a random map with two pictures, turned by a right angle."""
    turned = torch.rot90(other, int(torch.randint(1, 4, ())), (2, 3))
    mask = (4 * _field(x, 1, 6)).sigmoid()
    return mask * x + (1 - mask) * turned


def _overlaid(x: Tensor, other: Tensor) -> Tensor:
    """Lay two pictures of different classes over each other, one turned upside down."""
    return 0.5 * x + 0.5 * other.flip(2)


def _collage(x: Tensor, other: Tensor) -> Tensor:
    """Put four small pictures side by side."""
    small = functional.avg_pool2d(x, 2)
    small_other = functional.avg_pool2d(other, 2)
    top = torch.cat([small, small_other.roll(1, 0)], dim=3)
    bottom = torch.cat([small_other, small.roll(1, 0)], dim=3)
    return torch.cat([top, bottom], dim=2)


def _enlarged(x: Tensor, other: Tensor) -> Tensor:
    """Show a piece so small that nobody could tell of what."""
    del other
    side = torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(0.08, 0.25)
    zero = torch.zeros_like(side)
    middle = torch.empty(2, len(x), 1, 1, 1, device=x.device).uniform_(-1, 1) * (1 - side)
    rows = [side, zero, middle[0], zero, side, middle[1]]
    theta = torch.cat(rows, dim=1).view(len(x), 2, 3)
    grid = functional.affine_grid(theta, [len(x), 3, SIDE, SIDE], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _scrambled(x: Tensor, other: Tensor) -> Tensor:
    """Keep the spectrum of a picture and take the phases of chance: its texture everywhere."""
    del other
    chance = torch.fft.rfft2(torch.randn(len(x), 1, SIDE, SIDE, device=x.device))
    spectrum = torch.fft.rfft2(x - x.mean(dim=(2, 3), keepdim=True))
    texture = torch.fft.irfft2(spectrum * chance / chance.abs().clamp_min(1e-6), s=(SIDE, SIDE))
    return texture + x.mean(dim=(2, 3), keepdim=True)


def _drawn(x: Tensor, other: Tensor) -> Tensor:
    """Draw blobs, boxes and stripes of flat colours on a flat or shaded ground."""
    del other
    count, device = len(x), x.device
    colours = torch.empty(9, count, 3, 1, 1, device=device).uniform_(0, 255)
    place = torch.arange(SIDE, device=device, dtype=torch.float32)
    rows, columns = place.view(1, 1, -1, 1), place.view(1, 1, 1, -1)
    slope = torch.randn(count, 3, 1, 1, device=device) * (torch.rand(()) < 0.5)
    picture = colours[0] + slope * (rows - columns * torch.rand(()))
    for colour in colours[1:]:
        middle = torch.empty(2, count, 1, 1, 1, device=device).uniform_(0, SIDE)
        half = torch.empty(2, count, 1, 1, 1, device=device).uniform_(0.5, SIDE / 2.5)
        far = ((rows - middle[0]) / half[0]).abs(), ((columns - middle[1]) / half[1]).abs()
        kind = torch.rand(count, 1, 1, 1, device=device)
        box = torch.maximum(*far) < 1
        blob = far[0] ** 2 + far[1] ** 2 < 1
        stripe = ((rows * half[0] + columns * half[1]) / SIDE + middle[0]).sin() > 0.6
        shape = torch.where(kind < 0.45, box, torch.where(kind < 0.9, blob, stripe))
        picture = torch.where(
            shape & (torch.rand(count, 1, 1, 1, device=device) < 0.7), colour, picture
        )
    return picture


def _noise(x: Tensor, other: Tensor) -> Tensor:
    """Chance of one roughness, coloured or grey, around a picture's mean colour."""
    del other
    cells = (2, 3, 5, 8, 16, 32)[int(torch.randint(6, ()))]
    field = _field(x, 3 if torch.rand(()) < 0.6 else 1, cells)
    return x.mean(dim=(2, 3), keepdim=True) + 60 * torch.rand(()) * field


Maker = Callable[[Tensor, Tensor], Tensor]
MAKERS: tuple[Maker, ...] = (
    _torn,
    _bent,
    _patchwork,
    _overlaid,
    _collage,
    _enlarged,
    _scrambled,
    _drawn,
    _noise,
)
# How often each is made, in the same order.
WEIGHTS = (1.5, 3.0, 0.7, 0.5, 1.5, 2.0, 1.5, 1.5, 0.5)
