"""Mutated pictures of every format that Pillow writes here."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from contextlib import suppress
from random import Random

from PIL import Image

from fuzz.mutate import mutated
from fuzz.target import ACCEPTED, REFUSED, Broken, Target
from wasmlrun.support.errors import BadImage
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.vision import decode

FEW_PIXELS = 1_000_000
# these write text for other programs, or call one
_NOT_PICTURES = {"PDF", "PALM", "EPS"}


class Images(Target[bytes]):
    """Picture files."""

    name = "images"

    def __init__(self) -> None:
        super().__init__()
        self._bases = list(pictures().values())

    def make(self, random: Random) -> bytes:
        """A mutated picture."""
        return mutated(random.choice(self._bases), random)

    def feed(self, value: bytes) -> str:
        """Decode it."""
        # the default limit makes decoders slow: only now and then
        limit = MAX_PIXELS if len(value) % 50 == 0 else FEW_PIXELS
        try:
            picture = decode.decode(value, "fuzz", max_pixels=limit)
        except BadImage:
            return REFUSED
        if picture.mode != "RGB" or picture.width * picture.height > limit:
            raise Broken(f"a {picture.mode} picture of {picture.size}")
        if len(picture.tobytes()) != 3 * picture.width * picture.height:
            raise Broken("pixels are missing")
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """Any decoder finds the format by content."""
        return {"image": value}


def pictures() -> dict[str, bytes]:
    """A small picture in every format and mode that Pillow writes here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # old formats are formats too
        return _pictures()


def _pictures() -> dict[str, bytes]:
    Image.init()
    found = {}
    gradient = Image.linear_gradient("L").resize((24, 17))
    for name in sorted(set(Image.SAVE) - _NOT_PICTURES):
        for mode in ("RGB", "P", "L", "1", "RGBA", "I;16", "F", "CMYK"):
            out = io.BytesIO()
            with suppress(Exception):  # a format that cannot hold the mode
                made = gradient.convert("F") if mode == "I;16" else gradient
                made.convert(mode).save(out, name)
            if out.getvalue() and _readable(out.getvalue()):
                found[f"{name} {mode}"] = out.getvalue()
    return {**found, **_variants(gradient.convert("RGB"))}


def _variants(picture: Image.Image) -> dict[str, bytes]:
    """Options that take other ways through the decoders."""
    wanted = {
        "JPEG progressive": ("JPEG", {"progressive": True, "exif": _exif()}),
        "PNG exif": ("PNG", {"exif": _exif()}),
        "TIFF lzw": ("TIFF", {"compression": "tiff_lzw"}),
        "TIFF deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
        "TIFF jpeg": ("TIFF", {"compression": "jpeg"}),
        "TIFF packbits": ("TIFF", {"compression": "packbits"}),
        "WEBP lossless": ("WEBP", {"lossless": True}),
        "GIF frames": ("GIF", {"save_all": True, "append_images": [picture.rotate(90)]}),
        "PNG frames": ("PNG", {"save_all": True, "append_images": [picture.rotate(180)]}),
    }
    found = {}
    for name, (kind, how) in wanted.items():
        out = io.BytesIO()
        with suppress(Exception):
            picture.save(out, kind, **how)  # type: ignore[arg-type]
            found[name] = out.getvalue()
    return found


def _exif() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


def _readable(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).load()
    except Exception:  # noqa: BLE001 - whatever it is, it is no base to mutate
        return False
    return True
