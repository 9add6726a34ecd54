"""Images of every kind become upright RGB pixels; what is none becomes one sentence."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kit.pictures import BLUE, RED, bomb, encoded, red_left
from PIL import Image

from wasmlrun.support.errors import BadImage
from wasmlrun.vision import decode as decoding
from wasmlrun.vision import orientation, rgb
from wasmlrun.vision.decode import decode
from wasmlrun.vision.formats import FORMATS, SUFFIXES
from wasmlrun.vision.formats import known as hint
from wasmlrun.vision.source import read_image

WHITE = (255, 255, 255)


def pixels(data: bytes, **how: int) -> list[tuple[int, ...]]:
    image = decode(data, "x", **how)
    assert image.mode == "RGB"
    return [image.getpixel((x, y)) for y in range(image.height) for x in range(image.width)]  # type: ignore[misc]


def refusal(data: bytes, **how: int) -> tuple[str, str | None]:
    with pytest.raises(BadImage) as caught:
        decode(data, "photo.jpg", **how)
    return caught.value.message, caught.value.hint


def near(found: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(f - w) <= 8 for f, w in zip(found, wanted, strict=True))


# --- kinds of pictures --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "WEBP", "GIF", "PPM", "TGA"])
def test_common_formats_are_read(kind: str) -> None:
    how = {"lossless": True} if kind == "WEBP" else {}
    image = decode(encoded(red_left(), kind, **how), "x")
    assert image.mode == "RGB"
    assert image.getpixel((2, 2)) == RED
    assert image.getpixel((30, 14)) == BLUE


# a page description: Pillow would have Ghostscript draw it
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("ghostscript", ["sleep 60", "exit 1", "touch started"])
def test_a_picture_starts_no_program(
    ghostscript: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n{ghostscript}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert refusal(EPS) == (NOT_ONE, hint())
    assert not (tmp_path / "started").exists()


def test_the_formats_are_pillows() -> None:
    Image.init()
    known = set(Image.OPEN)
    told = hint().upper().replace(" ", "")
    assert all(name in told for name in FORMATS if name != "DIB")
    ends = {s for s, kind in Image.registered_extensions().items() if kind in FORMATS}
    assert ends <= SUFFIXES
    assert set(FORMATS) - known <= {"AVIF", "JPEG2000", "WEBP"}  # those need a library


@pytest.mark.parametrize("kind", ["EPS", "PDF", "FITS", "WMF", "HDF5", "BUFR", "GRIB", "PSD"])
def test_other_formats_are_not_opened(kind: str) -> None:
    assert kind not in FORMATS


@pytest.mark.parametrize(
    ("orientation", "size", "where_red_is"),
    [
        (1, (32, 16), (2, 8)),
        (2, (32, 16), (30, 8)),
        (3, (32, 16), (30, 8)),
        (4, (32, 16), (2, 8)),
        (5, (16, 32), (8, 2)),
        (6, (16, 32), (8, 2)),
        (7, (16, 32), (8, 30)),
        (8, (16, 32), (8, 30)),
    ],
)
def test_exif_orientation_is_applied(
    orientation: int, size: tuple[int, int], where_red_is: tuple[int, int]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = decode(encoded(red_left(), "JPEG", exif=exif, quality=95, subsampling=0), "x")
    assert image.size == size
    assert near(image.getpixel(where_red_is), RED)  # type: ignore[arg-type]


def test_a_palette_is_looked_up() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image)) == [RED, BLUE]


def test_a_transparent_colour_of_a_palette_is_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*RED, *BLUE])
    image.putpixel((1, 0), 1)
    assert pixels(encoded(image, transparency=0)) == [WHITE, BLUE]


def test_alpha_is_laid_over_white() -> None:
    image = Image.new("RGBA", (3, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.putpixel((2, 0), (0, 0, 0, 128))
    left, middle, right = pixels(encoded(image))
    assert (left, middle) == (RED, WHITE)
    assert near(right, (127, 127, 127))


def test_grey_with_alpha_is_laid_over_white() -> None:
    image = Image.new("LA", (2, 1), (0, 255))
    image.putpixel((1, 0), (0, 0))
    assert pixels(encoded(image)) == [(0, 0, 0), WHITE]


def test_a_transparent_colour_of_an_rgb_picture_is_white() -> None:
    assert pixels(encoded(Image.new("RGB", (1, 1), RED), transparency=RED)) == [WHITE]


def test_greyscale_and_black_and_white_become_grey_rgb() -> None:
    assert pixels(encoded(Image.new("L", (1, 1), 77))) == [(77, 77, 77)]
    assert pixels(encoded(Image.new("1", (1, 1), 1))) == [WHITE]


def test_16_bits_are_scaled_and_not_cut_off() -> None:
    image = Image.new("I;16", (3, 1))
    for x, value in enumerate((0, 32768, 65535)):
        image.putpixel((x, 0), value)
    black, middle, white = pixels(encoded(image))
    assert (black, white) == ((0, 0, 0), WHITE)
    assert near(middle, (128, 128, 128))


def test_a_dark_16_bit_picture_stays_dark() -> None:
    ((value, *_),) = pixels(encoded(Image.new("I;16", (1, 1), 200)))
    assert value <= 1


@pytest.mark.parametrize("mode", ["I", "F"])
def test_32_bit_pictures_are_scaled_to_8_bits(mode: str) -> None:
    image = Image.new(mode, (2, 1), 0)
    image.putpixel((1, 0), 65535)
    assert pixels(encoded(image, "TIFF")) == [(0, 0, 0), WHITE]
    # one that fits into 8 bits already stays as it is
    assert pixels(encoded(Image.new(mode, (1, 1), 200), "TIFF")) == [(200, 200, 200)]


def test_cmyk_becomes_rgb() -> None:
    cmyk = Image.new("CMYK", (1, 1), (0, 255, 255, 0))
    assert pixels(encoded(cmyk, "TIFF")) == [RED]
    found = pixels(encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95))
    assert near(found[0], RED)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation_counts(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE, WHITE)]
    how: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    data = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **how)
    assert set(pixels(data)) == {RED}


def test_a_large_jpeg_is_decoded_small_but_never_too_small() -> None:
    data = encoded(red_left((1600, 1200)), "JPEG")
    small = decode(data, "x", at_least=100)
    assert small.width < 1600
    assert min(small.size) >= 200
    assert decode(data, "x").size == (1600, 1200)
    assert near(small.getpixel((10, 10)), RED)  # type: ignore[arg-type]


# --- what is refused ----------------------------------------------------------------------------

NOT_ONE = "image photo.jpg is not an image that can be read"


@pytest.mark.parametrize("data", [b"hello", b"\0" * 100, b"\xff\xd8", b"%PDF-1.7", b"<svg/>"])
def test_what_is_no_image_is_refused(data: bytes) -> None:
    assert refusal(data) == (NOT_ONE, hint())


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_a_truncated_image_is_damaged_not_half_an_answer(kind: str) -> None:
    noise = Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))
    data = encoded(noise, kind)
    message, _ = refusal(data[: len(data) // 2])
    assert message.startswith("image photo.jpg is damaged: ")
    assert "\n" not in message


def test_damage_inside_a_png_is_noticed() -> None:
    data = bytearray(encoded(Image.frombytes("RGB", (64, 64), os.urandom(64 * 64 * 3))))
    data[len(data) // 2] ^= 0xFF
    assert refusal(bytes(data))[0].startswith("image photo.jpg is damaged: ")


def test_more_than_100_megapixels_are_refused_before_they_are_decoded() -> None:
    assert refusal(bomb(10_001, 10_000)) == (
        "image photo.jpg has 10001 × 10000 pixels, more than the limit of 100 megapixels",
        "scale it down first, or raise the limit with --max-pixels",
    )


@pytest.mark.parametrize("side", [50_000, 2_000_000_000])
def test_far_more_than_the_limit_is_one_sentence_too(side: int) -> None:
    hint = "scale it down first, or raise the limit with --max-pixels"
    assert refusal(bomb(side, side)) == (
        f"image photo.jpg has {side} × {side} pixels, more than the limit of 100 megapixels",
        hint,
    )
    # of a format that is found by asking all of them
    message = f"image photo.jpg has {side} × {side} pixels, more than the limit of 100 megapixels"
    assert refusal(f"P6\n{side} {side}\n255\n".encode()) == (message, hint)


def test_a_limit_above_pillows_own_holds() -> None:
    # the header is believed, and then the pixels are missing
    message, _ = refusal(bomb(15_000, 12_000, depth=1, colours=0), max_pixels=200_000_000)
    assert "limit" not in message


def test_the_limit_of_pixels_can_be_set() -> None:
    data = encoded(Image.new("RGB", (100, 100)))
    assert decode(data, "x", max_pixels=10_000).size == (100, 100)
    assert refusal(data, max_pixels=9_999)[0] == (
        "image photo.jpg has 100 × 100 pixels, more than the limit of 0.009999 megapixels"
    )


@pytest.mark.parametrize(
    ("module", "own"),
    [
        *((decoding, name) for name in ("_check_size", "_check_tile", "upright", "_to_rgb")),
        (decoding, "_formats"),
        (orientation, "said"),
        *((rgb, name) for name in ("to_rgb", "_in_parts", "_boxes", "_shades", "_extremes")),
    ],
)
def test_a_mistake_of_our_own_is_not_called_damage(
    module: ModuleType, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(*_: object, **__: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(module, own, mistaken)
    picture = encoded(Image.new("I;16", (4, 4)), "TIFF")
    with pytest.raises(TypeError, match="a mistake"):
        decode(picture, "x")


PICTURES = [
    encoded(red_left((20, 14)), kind, **how)
    for kind, how in (
        ("JPEG", {}),
        ("PNG", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("TGA", {}),
        ("ICO", {}),
    )
]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_raises_anything_but_bad_image(data: st.DataObject) -> None:
    picture = bytearray(data.draw(st.sampled_from(PICTURES)))
    for _ in range(data.draw(st.integers(0, 8))):
        picture[data.draw(st.integers(0, len(picture) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(picture)))
    with suppress(BadImage):
        assert decode(bytes(picture[:cut]), "x", at_least=8).mode == "RGB"


# --- files --------------------------------------------------------------------------------------


def test_files_that_cannot_be_read_are_one_sentence_each(tmp_path: Path) -> None:
    def said(name: str) -> tuple[str, str | None]:
        with pytest.raises(BadImage) as caught:
            read_image(name)
        return caught.value.message, caught.value.hint

    missing, empty = f"{tmp_path}/none.jpg", tmp_path / "empty.jpg"
    empty.touch()
    assert said(missing) == (f"image {missing} does not exist", "check the path")
    assert said(str(empty)) == (f"image {empty} is empty", None)
    assert said(f"{tmp_path}/") == (
        f"image {tmp_path}/ is a folder",
        f"name the files in it: {tmp_path}/*.jpg",
    )
    assert said(f"{empty}/below") == (f"image {empty}/below cannot be read: Not a directory", None)
    assert said("a\0b") == ("image a\0b cannot be read: a name with a NUL character", None)
    long = "x" * 5000
    assert said(long) == (f"image {long} cannot be read: File name too long", None)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"picture")))
    assert read_image("-") == b"picture"
    with pytest.raises(BadImage) as caught:
        read_image("-")
    assert caught.value.message == "standard input is empty"
    assert caught.value.hint == "pipe an image in: wasmlrun classify - < photo.jpg"
