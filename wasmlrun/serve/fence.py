"""The walls around the processes that do the work: what is served, and nothing besides.

A site's folder is writable only where a manifest mounts something, and the network is there only
where a manifest has the word for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wasmlrun.pipeline.fences import fence_for
from wasmlrun.serve.site import Settings
from wasmlrun.serve.site_routes import find_routes
from wasmlrun.support import beneath
from wasmlrun.support.limits import MAX_MANIFEST_BYTES
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach


def fence_of(
    site: Settings | None,
    models: Sequence[Mapping[str, Any]],
    engine: Mapping[str, Any],
    *,
    required: bool,
) -> Fence:
    """The walls of a child that serves these; with `required` one without them is an error."""
    usual = {"cached": bool(engine["cache"]), "device": engine["device"]}
    reaches: list[Reach | None] = [fence_for(**usual).reach]
    for model in models:
        manifest = model.get("manifest")
        fence = fence_for(
            files=(model.get("labels"),),
            worker=model.get("worker"),
            manifest=Path(manifest) if manifest else None,
            models=(model.get("model"),),
            dirs=model.get("dirs") or (),
            allow_outside=bool(model.get("allow_outside")),
            **usual,
        )
        # models are not for the network, whatever a manifest says
        reaches.append(fence.reach)
    mounts = network = False
    if site is not None:
        texts = [
            _text(route.file.with_suffix(".toml")) for route in find_routes(site.folder).routes
        ]
        mounts = site.reload or any(b"folders" in text for text in texts)
        network = site.reload or any(b"http_requests" in text for text in texts)
        writing = (site.folder,) if mounts else ()
        reaches.append(Reach((site.folder,), writing, site.allow_outside))
    known = [reach for reach in reaches if reach is not None]
    return Fence(
        Reach(
            tuple(path for reach in known for path in reach.reading),
            tuple(path for reach in known for path in reach.writing),
            any(reach.anywhere for reach in known),
            network,
            any(reach.graphics for reach in known),
        ),
        required,
    )


def _text(manifest: Path) -> bytes:
    with suppress(OSError):
        return beneath.read(manifest, MAX_MANIFEST_BYTES)
    return b""
