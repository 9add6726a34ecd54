"""Pixels become the model's input: size, colours, numbers, layout."""

from __future__ import annotations

import struct
from array import array

import pytest
from PIL import Image

from wasmlrun.engines.protocol import Port
from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.errors import BadModel
from wasmlrun.support.tensor import DType
from wasmlrun.vision.preprocess import (
    InputSpec,
    guess_layout,
    resolve,
    scale_to,
    seen_box,
    to_tensor,
)

NHWC = Port("x", (1, 224, 192, 3), DType.U8)
NCHW = Port("x", (1, 3, 224, 192), DType.F32)


def spec(**changes: object) -> InputSpec:
    values: dict[str, object] = {
        "height": 2,
        "width": 2,
        "resize": "stretch",
        "layout": "NHWC",
        "dtype": DType.U8,
        "color": "RGB",
        "mean": (0.0,),
        "scale": (1.0,),
    }
    return InputSpec(**{**values, **changes})  # type: ignore[arg-type]


def four_pixels() -> Image.Image:
    """2 × 2: pixel n has the values 10n+1, 10n+2, 10n+3."""
    image = Image.new("RGB", (2, 2))
    image.putdata([(10 * n + 1, 10 * n + 2, 10 * n + 3) for n in range(4)])
    return image


def quarters(size: tuple[int, int]) -> Image.Image:
    """Four vertical stripes of different greys."""
    image = Image.new("RGB", size)
    width = size[0] // 4
    for n, grey in enumerate((0, 80, 160, 240)):
        image.paste((grey,) * 3, (n * width, 0, (n + 1) * width, size[1]))
    return image


# --- what the model says, what the manifest says, what is assumed -----------------------------


def test_size_layout_and_type_are_read_from_the_model() -> None:
    assert resolve(Classify(), NHWC) == InputSpec(
        224, 192, "crop", "NHWC", DType.U8, "RGB", (0.0,), (1.0,)
    )
    found = resolve(Classify(), NCHW)
    assert (found.height, found.width, found.layout, found.dtype) == (224, 192, "NCHW", DType.F32)
    assert found.shape == (1, 3, 224, 192)


def test_without_a_model_the_manifest_and_defaults_decide() -> None:
    assert resolve(Classify(), None).shape == (1, 224, 224, 3)
    wanted = Classify(size=(10, 20), layout="NCHW", dtype="f32", color="gray", resize="pad")
    found = resolve(wanted, None)
    assert (found.shape, found.dtype, found.resize) == ((1, 1, 10, 20), DType.F32, "pad")


def test_float_models_of_tensorflow_take_minus_one_to_one() -> None:
    found = resolve(Classify(), Port("x", (1, 8, 8, 3), DType.F32))
    assert (found.mean, found.scale) == ((127.5,), (127.5,))


def test_float_models_of_pytorch_take_imagenets_mean_and_deviation() -> None:
    found = resolve(Classify(), NCHW)
    assert found.mean == (123.675, 116.28, 103.53)
    assert found.scale == (58.395, 57.12, 57.375)


def test_mean_and_scale_of_the_manifest_replace_the_defaults() -> None:
    found = resolve(Classify(scale=(255.0,)), NCHW)
    assert (found.mean, found.scale) == ((0.0,), (255.0,))
    found = resolve(Classify(mean=(1.0, 2.0, 3.0)), NCHW)
    assert (found.mean, found.scale) == ((1.0, 2.0, 3.0), (1.0,))


def test_default_means_follow_the_order_of_the_colours() -> None:
    found = resolve(Classify(color="BGR"), NCHW)
    assert found.mean == (103.53, 116.28, 123.675)
    assert found.scale == (57.375, 57.12, 58.395)


def test_one_channel_is_gray() -> None:
    found = resolve(Classify(), Port("x", (1, 28, 28, 1), DType.F32))
    assert (found.color, found.shape) == ("gray", (1, 28, 28, 1))
    assert (found.mean, found.scale) == ((127.5,), (127.5,))


def test_sizes_that_the_model_leaves_free_come_from_the_manifest() -> None:
    free = Port("x", (-1, -1, -1, 3), DType.U8)
    assert resolve(Classify(), free).shape == (1, 224, 224, 3)
    assert resolve(Classify(size=(32, 64)), free).shape == (1, 32, 64, 3)


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((1, 224, 224, 3), "NHWC"),
        ((1, 3, 224, 224), "NCHW"),
        ((1, 1, 28, 28), "NCHW"),
        ((1, 28, 28, 1), "NHWC"),
        ((1, 3, 3, 3), None),
        ((1, 7, 7, 7), None),
    ],
)
def test_the_layout_is_told_by_where_the_channels_can_be(
    shape: tuple[int, ...], layout: str | None
) -> None:
    assert guess_layout(shape) == layout


@pytest.mark.parametrize(
    ("wanted", "port", "message", "hint"),
    [
        (
            Classify(),
            Port("x", (1, 1000), DType.F32),
            "the model's input x is [1, 1000] f32, not a batch of one picture",
            "a classifier takes [1, height, width, channels] or [1, channels, height, width]",
        ),
        (
            Classify(),
            Port("x", (8, 224, 224, 3), DType.F32),
            "the model's input x is [8, 224, 224, 3] f32, not a batch of one picture",
            "a classifier takes [1, height, width, channels] or [1, channels, height, width]",
        ),
        (
            Classify(),
            Port("x", (1, 3, 9, 3), DType.U8),
            "the layout of the model's input [1, 3, 9, 3] u8 cannot be told",
            'say layout = "NHWC" or "NCHW" under [classify] in a manifest',
        ),
        (
            Classify(layout="NHWC"),
            Port("x", (1, 9, 9, 4), DType.U8),
            "the model's input has 4 channels; pictures have 1 or 3",
            None,
        ),
        (
            Classify(layout="NHWC", size=(224, 224)),
            Port("x", (1, 3, 224, 224), DType.F32),
            "the manifest says layout = 'NHWC' and the model's input is [1, 3, 224, 224] f32, NCHW",
            "is it the manifest of another model?",
        ),
        (
            Classify(),
            Port("x", (1, 9, 9, 3), DType.I64),
            "the model takes i64 numbers",
            "pictures can be given as u8, i8, f32, f16",
        ),
        (
            Classify(dtype="f32"),
            NHWC,
            "the manifest says dtype = 'f32' and the model takes u8",
            None,
        ),
        (
            Classify(size=(224, 224)),
            NHWC,
            "the manifest says width 224 and the model takes 192 pixels",
            None,
        ),
        (
            Classify(size=(192, 192)),
            NHWC,
            "the manifest says height 192 and the model takes 224 pixels",
            None,
        ),
        (
            Classify(color="gray"),
            NHWC,
            "the manifest says color = 'gray' and the model takes 3 channel(s)",
            'gray is 1 channel, "RGB" and "BGR" are 3',
        ),
        (
            Classify(color="RGB"),
            Port("x", (1, 28, 28, 1), DType.U8),
            "the manifest says color = 'RGB' and the model takes 1 channel(s)",
            'gray is 1 channel, "RGB" and "BGR" are 3',
        ),
    ],
)
def test_a_model_that_takes_no_such_picture_is_refused(
    wanted: Classify, port: Port, message: str, hint: str | None
) -> None:
    with pytest.raises(BadModel) as caught:
        resolve(wanted, port)
    assert (caught.value.message, caught.value.hint) == (message, hint)


# --- resizing -----------------------------------------------------------------------------------


def test_stretch_uses_the_whole_picture() -> None:
    scaled = scale_to(quarters((400, 100)), spec(height=40, width=40))
    assert [scaled.getpixel((x, 1))[0] for x in (0, 39)] == [0, 240]  # type: ignore[index]


def test_crop_keeps_the_centre_of_the_shorter_side_over_0_875() -> None:
    # of 400 × 100 pixels a square of 87.5 in the middle remains: the two middle stripes
    scaled = scale_to(quarters((400, 100)), spec(height=8, width=8, resize="crop"))
    row = [scaled.getpixel((x, 4))[0] for x in range(8)]  # type: ignore[index]
    assert row[0] == 80
    assert row[-1] == 160
    assert scaled.size == (8, 8)


def test_crop_takes_seven_eighths_of_a_square() -> None:
    image = Image.new("RGB", (160, 160), "white")
    image.paste((0, 0, 0), (10, 10, 150, 150))  # 140 = 160 × 0.875
    scaled = scale_to(image, spec(height=140, width=140, resize="crop"))
    assert scaled.getextrema() == ((0, 0),) * 3
    # and no less
    wider = scale_to(image, spec(height=150, width=150, resize="stretch"))
    assert wider.getpixel((0, 0)) == (255, 255, 255)


def test_pad_keeps_the_whole_picture_on_grey() -> None:
    scaled = scale_to(quarters((400, 100)), spec(height=80, width=80, resize="pad"))
    column = [scaled.getpixel((1, y)) for y in range(80)]
    assert column[29] == column[50] == (128, 128, 128)
    assert column[30] == column[49] == (0, 0, 0)
    assert scaled.getpixel((79, 40)) == (240, 240, 240)


@pytest.mark.parametrize("resize", ["crop", "stretch", "pad"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_any_size_of_picture_gives_the_size_of_the_model(
    resize: str, size: tuple[int, int]
) -> None:
    scaled = scale_to(Image.new("RGB", size, "white"), spec(height=5, width=7, resize=resize))
    assert scaled.size == (7, 5)


# --- numbers ------------------------------------------------------------------------------------


def test_u8_nhwc_is_the_pixels_themselves() -> None:
    tensor = to_tensor(four_pixels(), spec())
    assert tensor.shape == (1, 2, 2, 3)
    assert list(tensor.data) == [1, 2, 3, 11, 12, 13, 21, 22, 23, 31, 32, 33]


def test_nchw_is_one_plane_a_channel() -> None:
    tensor = to_tensor(four_pixels(), spec(layout="NCHW"))
    assert tensor.shape == (1, 3, 2, 2)
    assert list(tensor.data) == [1, 11, 21, 31, 2, 12, 22, 32, 3, 13, 23, 33]


def test_bgr_is_the_other_way_round() -> None:
    tensor = to_tensor(four_pixels(), spec(color="BGR"))
    assert list(tensor.data)[:6] == [3, 2, 1, 13, 12, 11]


def test_gray_is_one_channel_of_luminance() -> None:
    image = Image.new("RGB", (2, 2), (255, 0, 0))
    tensor = to_tensor(image, spec(color="gray"))
    assert (tensor.shape, list(tensor.data)) == ((1, 2, 2, 1), [76] * 4)


def test_i8_is_quantised_around_zero() -> None:
    image = Image.new("RGB", (2, 2), (0, 128, 255))
    tensor = to_tensor(image, spec(dtype=DType.I8))
    assert list(array("b", bytes(tensor.data)))[:3] == [-128, 0, 127]


def test_floats_are_reduced_by_the_mean_and_divided_by_the_scale() -> None:
    wanted = spec(dtype=DType.F32, mean=(1.0, 2.0, 3.0), scale=(1.0, 2.0, 4.0))
    values = list(array("f", bytes(to_tensor(four_pixels(), wanted).data)))
    assert values[:6] == [0, 0, 0, 10, 5, 2.5]
    wanted = spec(dtype=DType.F32, mean=(127.5,), scale=(127.5,))
    white = Image.new("RGB", (2, 2), "white")
    assert set(array("f", bytes(to_tensor(white, wanted).data))) == {1.0}


def test_float_planes_are_interleaved_as_the_layout_says() -> None:
    nhwc = to_tensor(four_pixels(), spec(dtype=DType.F32))
    nchw = to_tensor(four_pixels(), spec(dtype=DType.F32, layout="NCHW"))
    assert list(array("f", bytes(nhwc.data)))[:4] == [1, 2, 3, 11]
    assert list(array("f", bytes(nchw.data)))[:5] == [1, 11, 21, 31, 2]


def test_half_precision() -> None:
    tensor = to_tensor(four_pixels(), spec(dtype=DType.F16, scale=(2.0,)))
    assert struct.unpack("<3e", bytes(tensor.data)[:6]) == (0.5, 1.0, 1.5)
    assert len(tensor.data) == 24


@pytest.mark.parametrize("dtype", [DType.U8, DType.I8, DType.F32, DType.F16])
@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
@pytest.mark.parametrize("color", ["RGB", "BGR", "gray"])
def test_the_bytes_are_always_as_many_as_the_shape_says(
    dtype: DType, layout: str, color: str
) -> None:
    tensor = to_tensor(
        Image.new("RGB", (9, 9)), spec(height=3, width=5, dtype=dtype, layout=layout, color=color)
    )
    channels = 1 if color == "gray" else 3
    assert len(tensor.data) == 3 * 5 * channels * dtype.size
    assert sorted(tensor.shape) == sorted((1, 3, 5, channels))


@pytest.mark.parametrize(
    ("resize", "box"),
    [
        ("stretch", (0, 0, 400, 200)),
        # the middle of the shorter side's square, 0.875 of it
        ("crop", (112.5, 12.5, 287.5, 187.5)),
        # as much above and below as the picture lacks
        ("pad", (0, -100, 400, 300)),
    ],
)
def test_what_is_shown_of_a_picture(resize: str, box: tuple[float, ...]) -> None:
    wanted = spec(height=100, width=100, resize=resize)
    assert seen_box((400, 200), wanted) == pytest.approx(box)
    assert seen_box((100, 100), wanted) == (0, 0, 100, 100)
