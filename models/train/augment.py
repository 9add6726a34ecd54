"""Augmentation of a whole batch at once, with different random values for every picture.

Everything is a handful of tensor operations per batch, so it costs little next to the network. It
serves two ends: the usual generalisation on CIFAR-10, and photographs that were shrunk to 32x32,
whose subject is often smaller, squashed or cut, and which are sharper or softer than CIFAR's.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

# Shares of the pictures, at full strength. WARPED ones get a free zoom, stretch and rotation; the
# others only move by whole pixels, which keeps them as crisp as the pictures of the test set.
WARPED = 0.5
RECOLOURED = 0.5
FILTERED = 0.3
GREY = 0.03
CUT = 0.5
CUT_SIZE = 8
MAX_SHIFT = 4


def augment(images: Tensor, size: int, strength: float = 1.0) -> Tensor:
    """Turn ``float [N, 3, 32, 32]`` on 0..255 into an augmented ``[N, 3, size, size]``.

    ``strength`` scales the share of the pictures that each change befalls, not the change; all
    pictures are mirrored and shifted at random whatever it is.
    """
    x = _move(images, size, WARPED * strength)
    x = _filter(x, FILTERED * strength)
    x = _recolour(x, RECOLOURED * strength, GREY * strength)
    return _cut(x.clamp(0, 255), CUT * strength)


def _uniform(x: Tensor, low: float, high: float) -> Tensor:
    """One random value per picture, shaped to broadcast over ``[N, C, H, W]``."""
    return torch.empty(len(x), 1, 1, 1, device=x.device).uniform_(low, high)


def _chosen(x: Tensor, share: float) -> Tensor:
    """A mask, shaped like ``_uniform``'s values, that is true for about ``share`` of them."""
    return _uniform(x, 0, 1) < share


def _move(x: Tensor, size: int, share: float) -> Tensor:
    """Mirror half of the pictures, then shift them or warp them; the border is reflected."""
    count, _, height, _ = x.shape
    flat = x[:, :1, :1, :1]
    warped = _chosen(flat, share)
    one, zero = torch.ones_like(warped, dtype=x.dtype), torch.zeros_like(warped, dtype=x.dtype)
    # Side of the visible window in units of the picture: below 1 zooms in, above 1 zooms out.
    scale = torch.exp(_uniform(flat, -0.5, 0.5))
    aspect = torch.exp(_uniform(flat, -0.25, 0.25))
    angle = _uniform(flat, -0.2, 0.2)
    width_scale = torch.where(warped, scale * aspect, one)
    height_scale = torch.where(warped, scale / aspect, one)
    angle = torch.where(warped, angle, zero)
    mirror = torch.where(_chosen(flat, 0.5), -one, one)
    shift = [
        torch.round(_uniform(flat, -MAX_SHIFT - 0.5, MAX_SHIFT + 0.5)) * 2 / height
        for _ in range(2)
    ]
    theta = torch.cat(
        [
            mirror * width_scale * angle.cos(),
            -height_scale * angle.sin(),
            shift[0],
            width_scale * angle.sin(),
            height_scale * angle.cos(),
            shift[1],
        ],
        dim=1,
    ).view(count, 2, 3)
    grid = functional.affine_grid(theta, [count, 3, size, size], align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="reflection", align_corners=False)


def _filter(x: Tensor, share: float) -> Tensor:
    """Blur or sharpen some of the pictures."""
    kernel = torch.tensor([1.0, 2.0, 1.0], device=x.device)
    kernel = (kernel[:, None] * kernel[None, :] / 16).expand(3, 1, 3, 3)
    blurred = functional.conv2d(functional.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    strength = _uniform(x, -1.0, 1.0) * _chosen(x, share)
    return x + strength * (blurred - x)


def _recolour(x: Tensor, share: float, grey_share: float) -> Tensor:
    """Change brightness, contrast, saturation and the balance of the channels."""
    chosen = _chosen(x, share)
    grey = x.mean(dim=1, keepdim=True)
    saturation = torch.where(chosen, _uniform(x, 0.5, 1.5), 1.0)
    saturation = torch.where(_chosen(x, grey_share), 0.0, saturation)
    contrast = torch.where(chosen, _uniform(x, 0.65, 1.45), 1.0)
    brightness = torch.where(chosen, _uniform(x, -35, 35), 0.0)
    balance = torch.empty(len(x), 3, 1, 1, device=x.device).uniform_(0.9, 1.1)
    balance = torch.where(chosen, balance, 1.0)
    x = (grey + saturation * (x - grey)) * balance
    middle = x.mean(dim=(1, 2, 3), keepdim=True)
    return middle + contrast * (x - middle) + brightness


def _cut(x: Tensor, share: float) -> Tensor:
    """Paint a square of the picture's mean colour over some of the pictures."""
    size = x.shape[-1]
    places = torch.arange(size, device=x.device)
    half = CUT_SIZE / 2
    rows = (places.view(1, 1, -1, 1) - _uniform(x, 0, size)).abs() < half
    columns = (places.view(1, 1, 1, -1) - _uniform(x, 0, size)).abs() < half
    hole = rows & columns & _chosen(x, share)
    return torch.where(hole, x.mean(dim=(2, 3), keepdim=True), x)
