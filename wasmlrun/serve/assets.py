"""Files of a site's `public` folder: what a path names there, never anything outside."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import FileResponse
from starlette.staticfiles import NotModifiedResponse, StaticFiles

from wasmlrun.serve import answers
from wasmlrun.serve.guard import Receive, Scope, Send
from wasmlrun.serve.site_routes import PUBLIC

NOT_FOUND = "404.html"
_RANGE = re.compile(r"(\d{1,18})-(\d{1,18})?|-\d{1,18}", re.ASCII)
_STATIC = StaticFiles()
"""What knows when a client's copy is the file itself."""


def find_asset(site: Path, path: str) -> Path | None:
    """The file that a decoded path names below `public`, a folder's `index.html`, or None.

    Dots that lead up mean nothing; links that lead out are not followed.
    """
    parts = [part for part in path.split("/") if part not in ("", ".", "..")]
    if any("\0" in part or "\\" in part for part in parts):
        return None
    public = site / PUBLIC
    named = public.joinpath(*parts)
    for file in (named, named / "index.html"):
        try:
            if file.is_file() and file.resolve().is_relative_to(public.resolve()):
                return file
        except (OSError, RuntimeError):  # a name too long, links in a circle
            return None
    return None


async def send_file(file: Path, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with a file, a part of it, or that the client has it already."""
    try:
        answers.check_method(scope["method"], "GET", "HEAD")
    except answers.Refused as refused:
        await answers.send(answers.error_answer(refused), send)
        return
    asked = Headers(scope=scope)
    response = FileResponse(file, stat_result=file.stat())
    if _STATIC.is_not_modified(response.headers, asked):
        await NotModifiedResponse(response.headers)(scope, receive, send)
        return
    # a range that is none counts for nothing (RFC 9110, 14.2)
    if scope["method"] != "GET" or not _is_range(asked.get("range", "")):
        scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]
    await response(scope, receive, send)


def _is_range(text: str) -> bool:
    unit, _, parts = text.partition("=")
    found = [_RANGE.fullmatch(part.strip(" \t")) for part in parts.split(",")]
    return unit == "bytes" and all(
        part is not None and (part[2] is None or int(part[1]) <= int(part[2])) for part in found
    )
