"""What a picture takes of memory, and that taking it in parts changes no pixel."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.pictures import encoded
from PIL import Image, features

from wasmlrun.support.errors import BadImage
from wasmlrun.vision import rgb
from wasmlrun.vision.decode import BYTES_A_PIXEL, decode, finished

SIDE = 2000
SLACK = 24 << 20
"""Buffers that do not grow with the picture, and what the allocator keeps."""

MEASURED = """
import sys
import zlib
from PIL import Image
from wasmlrun.vision import decode

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))

with open(sys.argv[1], "rb") as file:
    data = file.read()
decode.configure_process(int(sys.argv[2]))
decode._formats()
from wasmlrun.vision import rgb
before = peak()
image = decode.decode(data, "x", max_pixels=int(sys.argv[2]))
assert image.mode == "RGB"
print(peak() - before)
"""


def noisy(mode: str, size: tuple[int, int]) -> Image.Image:
    """Every pixel another, in any mode."""
    depth = {"I": 4, "F": 4, "I;16": 2, "L": 1, "P": 1}.get(mode) or len(mode)
    image = Image.frombytes(mode, size, os.urandom(size[0] * size[1] * depth))
    if mode == "P":
        image.putpalette(os.urandom(768))
    return image


def coarse(mode: str, side: int) -> Image.Image:
    """Made quickly, and small in a file."""
    return noisy(mode, (side // 50, side // 50)).resize((side, side), Image.Resampling.NEAREST)


def turned() -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = 6
    return {"exif": exif}


KINDS: dict[str, tuple[str, str, dict[str, object]]] = {
    "png": ("PNG", "RGBA", {"compress_level": 1}),
    "png-grey": ("PNG", "LA", {"compress_level": 1}),
    "png-16": ("PNG", "I;16", {"compress_level": 1}),
    "png-colour": ("PNG", "RGB", {"compress_level": 1, "transparency": (1, 2, 3)}),
    "png-turned": ("PNG", "RGBA", {"compress_level": 1, **turned()}),
    "tiff-f": ("TIFF", "F", {}),
    "tiff-strip": ("TIFF", "RGBA", {"compression": "tiff_lzw", "strip_size": 1 << 30}),
    "jpeg": ("JPEG", "CMYK", {"progressive": True}),
    "webp": ("WEBP", "RGBA", {"lossless": True, "method": 0, "quality": 0}),
    "avif": ("AVIF", "RGBA", {"speed": 10, "subsampling": "4:4:4"}),
    "jpeg2000": ("JPEG2000", "RGBA", {}),
    "tga": ("TGA", "RGBA", {}),
}
LIBRARIES = {"webp": "webp", "avif": "avif", "jpeg2000": "jpg_2000"}
FEWER = {"webp": 12 / 16, "avif": 12 / 20, "jpeg2000": 12 / 36}


@pytest.mark.skipif(sys.platform != "linux", reason="where the kernel tells a process's peak")
@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_takes_so_many_bytes_a_pixel_and_no_more(kind: str, tmp_path: Path) -> None:
    if kind in LIBRARIES and not features.check(LIBRARIES[kind]):
        pytest.skip(f"this Pillow reads no {kind}")
    file_kind, mode, how = KINDS[kind]
    path = tmp_path / "picture"
    coarse(mode, SIDE).save(path, file_kind, **how)
    allowed = round(SIDE * SIDE / FEWER.get(kind, 1)) + 1
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path), str(allowed)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(done.stdout) <= BYTES_A_PIXEL * allowed + path.stat().st_size + SLACK


@pytest.mark.parametrize("kind", LIBRARIES)
def test_what_takes_more_memory_may_have_fewer_pixels(kind: str) -> None:
    if not features.check(LIBRARIES[kind]):
        pytest.skip(f"this Pillow reads no {kind}")
    data = encoded(Image.new("RGB", (120, 100)), kind.upper())
    enough = round(12_000 / FEWER[kind])
    assert decode(data, "x", max_pixels=enough).size == (120, 100)
    with pytest.raises(BadImage) as caught:
        decode(data, "x", max_pixels=enough - 1)
    title = {"webp": "WebP", "jpeg2000": "JPEG 2000"}.get(kind, kind.upper())
    assert caught.value.message == (
        "image x has 120 × 100 pixels, more than the limit of 0.012 megapixels "
        f"for {title}, whose decoder takes more memory than others"
    )


def tiled(width: int, height: int) -> bytes:
    """A grey TIFF of 32 × 32 pixels in one tile, which may be larger."""
    tile = zlib.compress(bytes(32 * 32))
    tags = {256: 32, 257: 32, 258: 8, 259: 8, 262: 1, 277: 1, 322: width, 323: height}
    tags |= {324: 8 + 2 + 10 * 12 + 4, 325: len(tile)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + bytes(4) + tile


def test_a_tile_that_is_larger_than_its_picture_counts() -> None:
    assert decode(tiled(32, 32), "x").size == (32, 32)
    with pytest.raises(BadImage) as caught:
        decode(tiled(16384, 8192), "x")
    assert caught.value.message == (
        "image x has a tile of 16384 × 8192 pixels, more than the limit of 100 megapixels"
    )
    assert caught.value.hint == "scale it down first, or raise the limit with --max-pixels"


def whole(monkeypatch: pytest.MonkeyPatch, make: Callable[[], Image.Image]) -> bytes:
    with monkeypatch.context() as context:
        context.setattr(rgb, "_PART", 1 << 30)
        return make().tobytes()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGBa", "PA", "I;16", "I", "F", "P", "RGB"])
@pytest.mark.parametrize("part", [1, 7, 100, 1000])
def test_parts_change_no_pixel(mode: str, part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if mode in ("RGBa", "PA"):
        image = noisy({"RGBa": "RGBA", "PA": "P"}[mode], (33, 21)).convert(mode)
    else:
        image = noisy(mode, (33, 21))
    if mode == "P":
        image.info["transparency"] = os.urandom(256)
    elif mode == "RGB":
        image.info["transparency"] = image.getpixel((5, 5))
    elif mode == "F":
        image = noisy("L", (33, 21)).convert("F").point(lambda v: v * 31.0 - 900.0)

    def made() -> Image.Image:
        return finished(image, "x")

    wanted = whole(monkeypatch, made)
    monkeypatch.setattr(rgb, "_PART", part)
    assert made().tobytes() == wanted
