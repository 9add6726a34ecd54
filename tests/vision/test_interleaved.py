"""Pictures in tensors: the order of their bytes is told by the picture itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.vision.interleaved import is_interleaved

SIDE = 32


@pytest.fixture(scope="module")
def dog() -> Image.Image:
    return Image.open(Path(ROOT) / "samples" / "dog.jpg").convert("RGB")


def sent(picture: Image.Image, *, planar: bool, bgr: bool, floats: bool) -> Tensor:
    """As a guest with another way of scaling would send it."""
    pixels = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.NEAREST))
    if bgr:
        pixels = pixels[:, :, ::-1]
    if planar:
        pixels = pixels.transpose(2, 0, 1)
    if floats:
        pixels = ((pixels - 120.0) / 58.0).astype(np.float32)
    dtype = DType.F32 if floats else DType.U8
    return Tensor((1, 3, SIDE, SIDE), dtype, pixels.tobytes())


@pytest.mark.parametrize("bgr", [False, True])
@pytest.mark.parametrize("floats", [False, True])
def test_both_orders_are_told_apart(dog: Image.Image, bgr: bool, floats: bool) -> None:
    grey = dog.convert("L").convert("RGB")
    for picture in (dog, grey):
        assert is_interleaved(sent(picture, planar=False, bgr=bgr, floats=floats), picture)
        assert not is_interleaved(sent(picture, planar=True, bgr=bgr, floats=floats), picture)


def test_what_is_not_the_picture_is_left_alone(dog: Image.Image) -> None:
    other = dog.rotate(180)
    assert not is_interleaved(sent(other, planar=True, bgr=False, floats=False), dog)
    plain = Image.new("RGB", (8, 8), (9, 9, 9))
    assert not is_interleaved(sent(plain, planar=False, bgr=False, floats=False), plain)
    right = sent(dog, planar=False, bgr=False, floats=True)
    broken = bytearray(right.data)
    broken[:4] = np.float32("nan").tobytes()
    assert not is_interleaved(Tensor(right.shape, right.dtype, broken), dog)
    assert not is_interleaved(Tensor((1, SIDE, SIDE, 3), right.dtype, right.data), dog)
    assert not is_interleaved(Tensor((1, 3, 0, 0), DType.F32, b""), dog)
    assert not is_interleaved(Tensor((1, 3, 9, 9), DType.F32, right.data), dog)
