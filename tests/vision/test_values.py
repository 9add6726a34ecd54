"""Pictures that a program has in memory."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.pictures import BLUE, RED, encoded, red_left
from PIL import ExifTags, Image

from wasmlrun.support.errors import BadImage
from wasmlrun.vision.decode import decode
from wasmlrun.vision.source import ImageFile
from wasmlrun.vision.values import source_of

PICTURE = red_left((20, 14))


def test_all_forms_of_a_picture_are_the_same_pixels(tmp_path: Path) -> None:
    path, data = tmp_path / "x.png", encoded(PICTURE)
    path.write_bytes(data)
    forms: list[Any] = [
        str(path),
        path,
        data,
        bytearray(data),
        memoryview(data),
        PICTURE,
        np.array(PICTURE),
    ]
    for form in forms:
        source = source_of(form)
        assert source.decoded().tobytes() == PICTURE.tobytes(), form
        assert decode(source.encoded(), "again").tobytes() == PICTURE.tobytes(), form


def test_names_are_for_messages() -> None:
    data = encoded(PICTURE)
    assert source_of("a/b.jpg").name == "a/b.jpg"
    assert (source_of(data).name, source_of(data, "cat").name) == ("image", "cat")
    assert source_of(PICTURE, "cat").name == "cat"
    # only the command line has standard input
    assert source_of("-") == ImageFile("./-")


def test_arrays_may_be_grey_or_have_alpha() -> None:
    grey = source_of(np.full((2, 3), 7, np.uint8)).decoded()
    assert (grey.size, grey.getpixel((0, 0))) == ((3, 2), (7, 7, 7))
    clear = source_of(np.zeros((2, 3, 4), np.uint8)).decoded()
    assert clear.getpixel((0, 0)) == (255, 255, 255)  # alpha over white


@pytest.mark.parametrize(
    ("array", "what"),
    [
        (np.zeros((2, 3, 3), np.float32), r"\[2, 3, 3\] float32"),
        (np.zeros((3, 2, 2), np.uint8), r"\[3, 2, 2\] uint8"),
        (np.zeros((1, 2, 3, 3), np.uint8), r"\[1, 2, 3, 3\] uint8"),
        (np.zeros((0, 3, 3), np.uint8), r"\[0, 3, 3\] uint8"),
    ],
)
def test_other_arrays_are_refused(array: np.ndarray, what: str) -> None:
    with pytest.raises(BadImage, match=f"image cat is an array of {what}") as caught:
        source_of(array, "cat")
    assert "uint8, [height, width, 3] in RGB" in (caught.value.hint or "")


def test_what_is_no_picture_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not int"):
        source_of(3)  # type: ignore[arg-type]
    with pytest.raises(BadImage, match="image cat is empty"):
        source_of(b"", "cat")


def test_an_image_of_pillows_is_turned_upright_and_stays_as_it_is() -> None:
    image = red_left((20, 14))
    exif = image.getexif()
    exif[ExifTags.Base.Orientation] = 3
    upright = source_of(image).decoded()
    assert (upright.getpixel((0, 0)), upright.getpixel((19, 0))) == (BLUE, RED)
    assert image.getpixel((0, 0)) == RED
    with pytest.raises(BadImage, match="more than the limit"):
        source_of(image).decoded(max_pixels=10)


def test_decoding_changes_no_setting_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1234567)
    filters = list(warnings.filters)
    decode(encoded(PICTURE, "GIF"), "x", max_pixels=1000)
    assert Image.MAX_IMAGE_PIXELS == 1234567
    assert list(warnings.filters) == filters


@pytest.mark.filterwarnings("ignore:Image was not the expected size")
def test_a_picture_inside_an_icon_is_held_to_the_limit() -> None:
    icon = encoded(Image.new("RGB", (64, 64)), "ICO", sizes=[(64, 64)])
    assert decode(icon, "x", max_pixels=4096).size == (64, 64)
    # the icon's own table says 16 × 16
    lying = icon[:6] + b"\x10\x10" + icon[8:]
    with pytest.raises(BadImage, match="64 × 64 pixels, more than the limit"):
        decode(lying, "x", max_pixels=1000)
