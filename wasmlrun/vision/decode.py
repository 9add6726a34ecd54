"""An image file becomes checked pixels: upright, RGB, one frame, at most so many of them."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib import import_module

from PIL import Image, UnidentifiedImageError

from wasmlrun.support.errors import BadImage
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.vision.formats import FORMATS, known
from wasmlrun.vision.orientation import upright

BYTES_A_PIXEL = 12
"""Memory that a picture takes at most, for each pixel that it may have, besides its file."""
_TILE = (322, 323)
"""TIFF's numbers for width and height of a tile."""
_PREFIX = 16
"""Bytes that tell the formats apart."""
_DAMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    ZeroDivisionError,
    AttributeError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""Damaged files make Pillow's decoders raise nearly anything."""


def decode(
    data: bytes, name: str, *, at_least: int = 0, max_pixels: int = MAX_PIXELS
) -> Image.Image:
    """Pixels of the first frame in mode RGB: EXIF orientation applied, alpha over white.

    `at_least` is the side that will be needed after scaling: a large JPEG is decoded at a
    fraction of its size that is no smaller (twice that, so that the scaling stays smooth).

    Raises:
        BadImage: not an image, damaged, truncated, or larger than `max_pixels`.
        MemoryError: this process may not have as much as its pixels take.
    """
    return _checked(
        lambda pillow: _opened(data, name, pillow),
        name,
        unread=True,
        at_least=at_least,
        max_pixels=max_pixels,
    )


def finished(image: Image.Image, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """As `decode`, of a picture that somebody opened with Pillow; it stays as it is.

    Raises:
        BadImage: damaged, truncated, or larger than `max_pixels`.
        MemoryError: this process may not have as much as its pixels take.
    """
    return _checked(lambda _: image, name, max_pixels=max_pixels)


def configure_process(max_pixels: int) -> None:
    """Let Pillow hold pictures inside of pictures to this limit, and warn of nothing.

    For a process of wasmlrun's own, before its threads start: both are settings of the process.
    Elsewhere Pillow's own limit, or the program's, stands above `max_pixels` for some formats.
    """
    Image.MAX_IMAGE_PIXELS = max_pixels
    warnings.simplefilter("ignore")


class _Pillow:
    """Around Pillow's own calls, and around nothing else: what they raise is the image's fault.

    But for MemoryError, which is the process's: it may have no more.
    """

    def __init__(self, name: str, max_pixels: int) -> None:
        self._name = name
        self._max_pixels = max_pixels

    def __enter__(self) -> None:
        """Nothing is to be prepared."""

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raises BadImage for what the call raised."""
        if isinstance(error, UnidentifiedImageError):
            raise _no_image(self._name) from None
        if isinstance(error, Image.DecompressionBombError):
            # far too large, or a picture inside an icon is
            count = re.search(r"\d+", str(error))
            raise _too_large(
                self._name, count[0] if count else "too many", self._max_pixels
            ) from None
        if isinstance(error, _DAMAGE):
            raise BadImage(f"image {self._name} is damaged: {_first_line(error)}") from error


def _checked(
    open_: Callable[[_Pillow], Image.Image],
    name: str,
    *,
    max_pixels: int,
    at_least: int = 0,
    unread: bool = False,
) -> Image.Image:
    pillow = _Pillow(name, max_pixels)
    image = open_(pillow)
    _check_size(image, name, max_pixels)
    if image.format == "TIFF":
        _check_tile(image, name, max_pixels)
    with pillow:
        if at_least and image.format == "JPEG":
            image.draft("RGB" if image.mode != "L" else "L", (2 * at_least, 2 * at_least))
        image.load()
    # an icon says less than the picture in it has
    _check_size(image, name, max_pixels)
    # and the other one is gone before the next is made
    image = upright(image, pillow, unread=unread)
    return _to_rgb(image, pillow)


def _opened(data: bytes, name: str, pillow: _Pillow) -> Image.Image:
    """The image, not decoded yet. Raises BadImage.

    Not by `Image.open`: that imports the modules of five formats before it looks at a file,
    where for most pictures one is enough, and holds pictures to a limit of the whole process.
    """
    if data.startswith(b"\xff\xd8\xff"):
        from wasmlrun.vision.jpeg import Jpeg

        with pillow, suppress(SyntaxError):  # it only began like one
            return Jpeg(io.BytesIO(data))
    elif data.startswith(b"\x89PNG\r\n\x1a\n"):
        from PIL.PngImagePlugin import PngImageFile

        with pillow, suppress(SyntaxError):
            return PngImageFile(io.BytesIO(data))
    for kind in _formats():
        open_, accepts = Image.OPEN[kind]
        with pillow, suppress(SyntaxError, IndexError, TypeError, struct.error):
            accepted = accepts is None or accepts(data[:_PREFIX])
            # some say in words why they do not
            if accepted and not isinstance(accepted, str):
                return open_(io.BytesIO(data), "")
    raise _no_image(name)


@cache
def _formats() -> tuple[str, ...]:
    """The formats that this Pillow reads; no other's module is ever imported."""
    for module in dict.fromkeys(row.module for row in FORMATS.values()):
        with suppress(ImportError):
            import_module(f"PIL.{module}ImagePlugin")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    row = FORMATS.get(image.format or "")
    # fewer pixels are allowed where the decoder takes more than they do
    cost = max(BYTES_A_PIXEL, row.decoder_bytes if row is not None else 0)
    if width * height * cost > max_pixels * BYTES_A_PIXEL:
        raise _too_large(
            name, f"{width} × {height}", max_pixels, image.format if cost > BYTES_A_PIXEL else None
        )


def _check_tile(image: Image.Image, name: str, max_pixels: int) -> None:
    """A tile is decoded whole, even where it is larger than the picture."""
    tags = getattr(image, "tag_v2", {})
    width, height = (_number(tags.get(tag)) for tag in _TILE)
    if width * height > max_pixels:
        raise _too_large(name, f"a tile of {width} × {height}", max_pixels)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _too_large(name: str, pixels: str, limit: int, kind: str | None = None) -> BadImage:
    """The limit counts memory: the decoders of some formats take more of it for a pixel."""
    most, whose = limit, ""
    if kind is not None:
        most = limit * BYTES_A_PIXEL // FORMATS[kind].decoder_bytes
        whose = f" for {FORMATS[kind].title}, whose decoder takes more memory than others"
    return BadImage(
        f"image {name} has {pixels} pixels, more than the limit of {most / 1e6:.4g} megapixels"
        f"{whose}",
        "scale it down first, or raise the limit with --max-pixels",
    )


def _no_image(name: str) -> BadImage:
    return BadImage(f"image {name} is not an image that can be read", known())


def _to_rgb(image: Image.Image, pillow: _Pillow) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    from wasmlrun.vision import rgb  # most photographs are that already

    return rgb.to_rgb(image, pillow)


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
