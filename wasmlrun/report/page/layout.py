"""The page's frame: its head with the policy, navigation, tiles and sections."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element

from wasmlrun.report.page.elements import Child, el

_STYLE = Path(__file__).parent / "style.css"


def frame(title: str, header: Sequence[Child], sections: Sequence[Element]) -> Element:
    """The whole page; each section is in the navigation."""
    links = [el("li", el("a", s[0].text or "", href=f"#{s.get('id')}")) for s in sections]
    return el(
        "html",
        _head(title),
        el(
            "body",
            el("a", "To the content", class_="skip", href="#content"),
            el("header", *header),
            el("nav", el("ul", *links), aria_label="Sections"),
            el("main", *sections, id="content", tabindex="-1"),
            el("footer", el("p", "Made by wasmlrun report.", class_="soft")),
        ),
        lang="en",
    )


def section(anchor: str, title: str, *children: Child) -> Element:
    """A part of the page with a heading."""
    return el("section", el("h2", title, id=f"{anchor}-title"), *children, **_labelled(anchor))


def tile(value: str, about: str, more: str = "") -> Element:
    """One number, what it is of, and what else there is to it."""
    parts: list[Child] = [el("b", value), el("span", about)]
    if more:
        parts += [el("br"), el("span", more)]
    return el("div", *parts, class_="tile")


def _labelled(anchor: str) -> dict[str, str]:
    return {"id": anchor, "aria_labelledby": f"{anchor}-title"}


def _head(title: str) -> Element:
    style = _STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    sheet = Element("style")
    sheet.text = style
    return el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", http_equiv="Content-Security-Policy", content=policy),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="referrer", content="no-referrer"),
        el("title", title),
        sheet,
    )
