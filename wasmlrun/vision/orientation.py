"""How the camera was held: EXIF's orientation, of most photographs without Pillow's reader.

That reader understands every tag of every kind; with the TIFF plugin and the exact arithmetic that
it needs, it takes longer to import than a photograph takes to be decoded. What is looked for is one
number in the first directory. Where anything is unusual, Pillow is asked.
"""

from __future__ import annotations

import struct
from contextlib import AbstractContextManager

from PIL import Image

_ORIENTATION = 0x0112
_SHORT = 3
"""TIFF's number for 16 bits without a sign."""
_HEADER = b"Exif\0\0"
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What has to be done to such a picture (EXIF 2.32, 4.6.4)."""


def upright(
    image: Image.Image, pillow: AbstractContextManager[None], *, unread: bool = False
) -> Image.Image:
    """The picture as the camera was held; itself where nothing has to be turned.

    Pillow is called inside of `pillow`. `unread` says that nobody has looked at the metadata, or
    changed it, since the picture was opened.
    """
    number = said(image) if unread else None
    with pillow:
        if number is None:
            number = image.getexif().get(_ORIENTATION)
        turn = _TURNS.get(number or 0)
        return image if turn is None else image.transpose(turn)


def said(image: Image.Image) -> int | None:
    """The orientation that a picture's file says, 0 where it says none; None: ask Pillow."""
    exif = image.info.get("exif")
    if image.format != "JPEG" or not isinstance(exif, bytes):
        return None
    found = in_exif(exif)
    # without one, Pillow looks into the XMP
    return None if found == 0 and image.info.get("xmp") else found


def in_exif(exif: bytes) -> int | None:
    """The orientation in a JPEG's EXIF block, 0 where it has none; None where it is unusual."""
    tiff = exif.removeprefix(_HEADER)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None or len(tiff) < 8:
        return None
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    if not 8 <= at <= len(tiff) - 2:
        return None
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    entries = tiff[at + 2 : at + 2 + 12 * count]
    if len(entries) < 12 * count:
        return None
    found = [
        (kind, length, value)
        for tag, kind, length, value in struct.iter_unpack(f"{order}HHIHxx", entries)
        if tag == _ORIENTATION
    ]
    if not found:
        return 0
    kind, length, value = found[-1]
    return value if len(found) == 1 and (kind, length) == (_SHORT, 1) and value else None
