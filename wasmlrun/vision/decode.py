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

_FORMATS: dict[str, tuple[str, str | None]] = {
    "JPEG": ("Jpeg", "JPEG"),
    "PNG": ("Png", "PNG"),
    "WEBP": ("WebP", "WebP"),
    "GIF": ("Gif", "GIF"),
    "BMP": ("Bmp", "BMP"),
    "DIB": ("Bmp", None),
    "TIFF": ("Tiff", "TIFF"),
    "AVIF": ("Avif", "AVIF"),
    "JPEG2000": ("Jpeg2K", "JPEG 2000"),
    "PPM": ("Ppm", "PPM"),
    "ICO": ("Ico", "ICO"),
    "ICNS": ("Icns", "ICNS"),
    "TGA": ("Tga", "TGA"),
    "PCX": ("Pcx", "PCX"),
    "QOI": ("Qoi", "QOI"),
    "SGI": ("Sgi", "SGI"),
    "XBM": ("Xbm", "XBM"),
}
"""Pillow's name of a raster format -> its module's, and what people call it (BMP is two to Pillow).

Their decoders read bytes and do nothing else; those of page descriptions (EPS) start programs,
and the rest have no business with photographs."""
FORMATS = tuple(_FORMATS)
*_FIRST, _LAST = (title for _, title in _FORMATS.values() if title is not None)
KNOWN = f"{', '.join(_FIRST)} and {_LAST} are"
"""The hint for what is no image that can be read."""
ORIENTATION = 0x0112
"""EXIF's number for it; 1 is upright."""
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
    return _checked(lambda pillow: _opened(data, name, pillow), name, at_least, max_pixels)


def finished(image: Image.Image, name: str, *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """As `decode`, of a picture that somebody opened with Pillow; it stays as it is.

    Raises:
        BadImage: damaged, truncated, or larger than `max_pixels`.
        MemoryError: this process may not have as much as its pixels take.
    """
    return _checked(lambda _: image, name, 0, max_pixels)


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
    open_: Callable[[_Pillow], Image.Image], name: str, at_least: int, max_pixels: int
) -> Image.Image:
    pillow = _Pillow(name, max_pixels)
    image = open_(pillow)
    _check_size(image, name, max_pixels)
    with pillow:
        if at_least and image.format == "JPEG":
            image.draft("RGB" if image.mode != "L" else "L", (2 * at_least, 2 * at_least))
        image.load()
    # an icon says less than the picture in it has
    _check_size(image, name, max_pixels)
    return _to_rgb(_upright(image, pillow), pillow)


def _opened(data: bytes, name: str, pillow: _Pillow) -> Image.Image:
    """The image, not decoded yet. Raises BadImage.

    Not by `Image.open`: that imports the modules of five formats before it looks at a file,
    where for most pictures one is enough, and holds pictures to a limit of the whole process.
    """
    if data.startswith(b"\xff\xd8\xff"):
        from PIL.JpegImagePlugin import JpegImageFile

        with pillow, suppress(SyntaxError):  # it only began like one
            return JpegImageFile(io.BytesIO(data))
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
    for module in dict.fromkeys(module for module, _ in _FORMATS.values()):
        with suppress(ImportError):
            import_module(f"PIL.{module}ImagePlugin")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _upright(image: Image.Image, pillow: _Pillow) -> Image.Image:
    """As the camera was held."""
    with pillow:
        if image.getexif().get(ORIENTATION, 1) == 1:
            return image
    from PIL import ImageOps

    with pillow:
        return ImageOps.exif_transpose(image)


def _check_size(image: Image.Image, name: str, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise _too_large(name, f"{width} × {height}", max_pixels)


def _too_large(name: str, pixels: str, limit: int) -> BadImage:
    return BadImage(
        f"image {name} has {pixels} pixels, more than the limit of {limit / 1e6:g} megapixels",
        "scale it down first, or raise the limit with --max-pixels",
    )


def _no_image(name: str) -> BadImage:
    return BadImage(f"image {name} is not an image that can be read", KNOWN)


def _to_rgb(image: Image.Image, pillow: _Pillow) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep(image, pillow)
    with pillow:
        if image.mode == "P" and "transparency" in image.info:
            image = image.convert("RGBA")
        if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
            image = image.convert("RGBA")
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image).convert("RGB")
        return image.convert("RGB")


def _from_deep(image: Image.Image, pillow: _Pillow) -> Image.Image:
    """16- and 32-bit greyscale: scaled down to 8 bits instead of clipped, as Pillow would."""
    with pillow:
        deep = image.convert("F")
    extrema = deep.getextrema()
    low, high = float(extrema[0]), float(extrema[1])  # type: ignore[arg-type]
    if low >= 0 and high <= 255 and not image.mode.startswith("I;16"):
        return deep.convert("L").convert("RGB")
    if low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    factor = 255.0 / (high - low) if high > low else 0.0
    return (
        deep.point(lambda value: value * factor + (0.5 - low * factor)).convert("L").convert("RGB")
    )


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
