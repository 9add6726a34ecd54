"""EXIF's orientation without Pillow's reader: the same answer, or none."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
from contextlib import nullcontext

import pytest
from kit.pictures import encoded, red_left
from PIL import Image, ImageOps

from wasmlrun.vision.orientation import in_exif, said, upright

KINDS = {"short": (3, "H2x"), "long": (4, "I"), "byte": (1, "B3x")}


def block(order: str, *entries: tuple[int, str, int], count: int = 1) -> bytes:
    """An EXIF block with these entries in its first directory: tag, kind, value."""
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", 8)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        number, form = KINDS[kind]
        directory += struct.pack(f"{order}HHI{form}", tag, number, count, value)
    return b"Exif\0\0" + head + directory + bytes(4)


def opened(exif: bytes, **more: object) -> Image.Image:
    return Image.open(io.BytesIO(encoded(red_left(), "JPEG", exif=exif, **more)))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_found_in_both_byte_orders(order: str, orientation: int) -> None:
    exif = block(order, (0x0100, "long", 7), (0x0112, "short", orientation))
    assert in_exif(exif) == orientation == opened(exif).getexif()[0x0112]
    expected = ImageOps.exif_transpose(opened(exif)).tobytes()
    for unread in (False, True):
        assert upright(opened(exif), nullcontext(), unread=unread).tobytes() == expected


def test_without_one_the_xmp_may_say_it() -> None:
    exif = block("<", (0x0100, "long", 7))
    xmp = b'<x tiff:Orientation="6"/>'
    assert in_exif(exif) == 0
    assert said(opened(exif)) == 0
    turned = upright(opened(exif, xmp=xmp), nullcontext(), unread=True)
    assert turned.tobytes() == ImageOps.exif_transpose(opened(exif, xmp=xmp)).tobytes()
    assert turned.size == (red_left().height, red_left().width)


@pytest.mark.parametrize(
    "exif",
    [
        b"",
        b"Exif\0\0",
        b"Exif\0\0II*\0",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\0\0\0\0",
        b"Exif\0\0PK\3\4\x08\0\0\0\0\0",
        block("<", (0x0112, "short", 6))[:-8],
        block("<", (0x0112, "long", 6)),
        block("<", (0x0112, "short", 0)),
        block("<", (0x0112, "short", 6), count=2),
        block("<", (0x0112, "short", 6), (0x0112, "short", 3)),
    ],
)
def test_what_is_unusual_is_left_to_pillow(exif: bytes) -> None:
    assert in_exif(exif) is None


def test_no_bytes_whatever_give_another_answer_than_pillow() -> None:
    chance = random.Random(1)
    whole = block(">", (0x0100, "long", 7), (0x0112, "short", 6), (0x0132, "byte", 1))
    told = 0
    for _ in range(3000):
        exif = bytearray(whole[: chance.randrange(6, len(whole) + 1)])
        for _ in range(chance.randrange(3)):
            exif[chance.randrange(6, len(exif)) if len(exif) > 6 else 0] = chance.randrange(256)
        found = in_exif(bytes(exif))
        if found is None:
            continue
        told += 1
        image = Image.new("RGB", (1, 1))
        image.info["exif"] = bytes(exif)
        assert image.getexif().get(0x0112, 0) == found, bytes(exif)
    assert told > 100


def test_a_photograph_needs_no_reader_of_tiff() -> None:
    code = (
        "import sys; from wasmlrun.vision.decode import decode;"
        "decode(sys.stdin.buffer.read(), 'x');"
        "print([m for m in ('PIL.TiffImagePlugin', 'PIL.ImageOps', 'fractions') "
        "if m in sys.modules])"
    )
    picture = encoded(red_left(), "JPEG", exif=block("<", (0x0112, "short", 6)))
    done = subprocess.run([sys.executable, "-c", code], input=picture, capture_output=True)
    assert done.stdout.decode().strip() == "[]", done.stderr.decode()


def test_what_somebody_changed_since_it_was_opened_counts() -> None:
    image = opened(block("<", (0x0112, "short", 6)))
    del image.getexif()[0x0112]
    assert upright(image, nullcontext()) is image
