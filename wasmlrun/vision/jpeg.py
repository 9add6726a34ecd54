"""JPEG files as Pillow opens them, but for what only printing needs."""

from __future__ import annotations

from PIL.JpegImagePlugin import JpegImageFile


class Jpeg(JpegImageFile):
    """A JPEG file whose metadata is not read yet.

    Pillow looks for dots per inch in it at once, which takes the reader of all TIFF: longer to
    import than a photograph takes to be decoded. A Pillow that asks elsewhere does so here too.
    """

    def _read_dpi_from_exif(self) -> None:
        pass
