"""HTML as a tree: text and attributes are escaped where the tree is written, never before."""

from __future__ import annotations

from xml.etree.ElementTree import Element, tostring

from wasmlrun.support.messages import printable

LONGEST = 300
"""Characters of a name that a page shows."""

Child = Element | str


def el(tag: str, *children: Child, **attributes: str | float) -> Element:
    """An element. `class_` is the attribute `class`; `_` in a name is `-`; strings are text."""
    element = Element(
        tag, {k.strip("_").replace("_", "-"): _text(v) for k, v in attributes.items()}
    )
    for child in children:
        if isinstance(child, Element):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + printable(child)
        else:
            element.text = (element.text or "") + printable(child)
    return element


def name(text: str) -> Element:
    """A name that comes from elsewhere: its direction is its own, and it is not too long."""
    return el("bdi", shortened(text))


def shortened(text: str) -> str:
    """The first characters of a long text."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def document(root: Element) -> bytes:
    """A page as the bytes of an HTML file."""
    text: str = tostring(root, encoding="unicode", method="html")
    return b"<!doctype html>\n" + text.encode("utf-8", "replace") + b"\n"


def _text(value: str | float) -> str:
    # no coordinate needs more digits
    return printable(value) if isinstance(value, str) else f"{value:.5g}"
