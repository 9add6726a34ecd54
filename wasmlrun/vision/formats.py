"""The formats of pictures that are read, a row each: their names, and what files of them end in.

Their decoders read bytes and do nothing else; those of page descriptions (EPS) start programs,
and the rest have no business with photographs.
"""

from __future__ import annotations

from wasmlrun.support.records import Record


class Format(Record):
    """One raster format: whose files they are, and what reading them takes."""

    module: str
    """Pillow's module of it, without `ImagePlugin`."""
    title: str | None
    """What people call it; None where they know it by another row's."""
    suffixes: tuple[str, ...]
    """What the names of its files end in, lower case."""
    decoder_bytes: int = 0
    """Memory that its decoder itself takes for a pixel, where that is more than the picture's."""


FORMATS = {
    "JPEG": Format("Jpeg", "JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": Format("Png", "PNG", (".png", ".apng")),
    "WEBP": Format("WebP", "WebP", (".webp",), decoder_bytes=16),
    "GIF": Format("Gif", "GIF", (".gif",)),
    "BMP": Format("Bmp", "BMP", (".bmp",)),
    "DIB": Format("Bmp", None, (".dib",)),
    "TIFF": Format("Tiff", "TIFF", (".tif", ".tiff")),
    "AVIF": Format("Avif", "AVIF", (".avif", ".avifs"), decoder_bytes=20),
    "JPEG2000": Format(
        "Jpeg2K",
        "JPEG 2000",
        (".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
        decoder_bytes=36,
    ),
    "PPM": Format("Ppm", "PPM", (".ppm", ".pgm", ".pbm", ".pnm", ".pfm")),
    "ICO": Format("Ico", "ICO", (".ico",)),
    "ICNS": Format("Icns", "ICNS", (".icns",)),
    "TGA": Format("Tga", "TGA", (".tga", ".icb", ".vda", ".vst")),
    "PCX": Format("Pcx", "PCX", (".pcx",)),
    "QOI": Format("Qoi", "QOI", (".qoi",)),
    "SGI": Format("Sgi", "SGI", (".sgi", ".rgb", ".rgba", ".bw")),
    "XBM": Format("Xbm", "XBM", (".xbm",)),
}
"""By Pillow's name, in the order in which a file is tried."""

SUFFIXES = frozenset(suffix for row in FORMATS.values() for suffix in row.suffixes)
"""By these the pictures in a folder or an archive are known."""


def known() -> str:
    """The hint for what is no image that can be read."""
    *first, last = (row.title for row in FORMATS.values() if row.title is not None)
    return f"{', '.join(first)} and {last} are"
