"""A page that holds a packed module and works from a file, without a server or a network."""

from __future__ import annotations

import base64
import json
from pathlib import Path

from wasmlrun.tiny.build import Ends

TEMPLATE = Path(__file__).parent / "page.html"


def page(module: bytes, name: str, ends: Ends, unsure_below: float | None) -> str:
    """The page of a module that decodes pictures itself.

    It doubts an answer whose first score is lower than `unsure_below`.
    """
    quant = ends.output.quant
    about = {
        "name": name,
        "dtype": ends.output.dtype,
        "scale": quant.scale[0] if quant is not None else 1.0,
        "zero": quant.zero[0] if quant is not None else 0,
        "logits": ends.logits,
        "label_offset": ends.label_offset,
        "unsure_below": unsure_below,
    }
    # a name may hold anything; it must not end the element that it stands in
    text = json.dumps(about).replace("<", "\\u003c")
    template = TEMPLATE.read_text(encoding="utf-8")
    before, _, rest = template.partition("@ABOUT@")
    between, _, after = rest.partition("@MODULE@")
    return before + text + between + base64.b64encode(module).decode("ascii") + after
