"""A result as a notebook shows it: the picture, small, and a bar for each prediction."""

from __future__ import annotations

import base64
from html import escape
from typing import TYPE_CHECKING

from wasmlrun.api import pictures
from wasmlrun.supervisor.child import Child
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.limits import GIB, MIB
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach

if TYPE_CHECKING:
    from wasmlrun.api.result import Result
    from wasmlrun.vision.source import ImageSource

_SECONDS = 20.0
_ROW = (
    '<tr><td style="text-align:left">{label}</td>'
    '<td style="text-align:right;font-variant-numeric:tabular-nums">{score:.1%}</td>'
    '<td style="width:16em;text-align:left"><div style="height:.8em;width:{width:.1f}%;'
    'background:#4a7fb5;border-radius:2px"></div></td></tr>'
)


def html(result: Result, source: ImageSource | None) -> str:
    """A fragment of HTML without scripts and without anything from outside."""
    rows = "".join(
        _ROW.format(label=escape(p.label), score=p.score, width=100 * min(1.0, max(0.0, p.score)))
        for p in result.predictions
    )
    picture = _picture(source)
    shown = (
        f'<img alt="{escape(result.image, quote=True)}" style="display:block;margin-bottom:.4em" '
        f'src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        if picture is not None
        else ""
    )
    return (
        f'<figure style="margin:0">{shown}<table>{rows}</table>'
        f'<figcaption style="opacity:.7">{escape(result.image)}</figcaption></figure>'
    )


def _picture(source: ImageSource | None) -> bytes | None:
    """The picture as a small PNG, None when there is none any more.

    It is decoded in a process of its own: the picture need not be a friend's.
    """
    if source is None:
        return None
    child = Child(
        pictures.__name__, timeout=_SECONDS, most=MIB, memory=2 * GIB, fence=Fence(Reach())
    )
    try:
        parts = child.call(pictures.picture_message(source)).parts
    except WasmlrunError:
        return None
    finally:
        child.close()
    return bytes(parts[0]) if parts else None
