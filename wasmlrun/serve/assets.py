"""Files of a site's `public` folder: what a path names there, never anything outside."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.serve.site_routes import PUBLIC

NOT_FOUND = "404.html"


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
