"""The walls around the processes that do the work: what is served, and nothing besides.

Of a site only what its manifests mount to be written is writable, and the network is there only
where one of them names hosts. With `--reload` manifests may change: then both are there at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from wasmlrun.manifest.manifest import Manifest
from wasmlrun.pipeline.fences import fence_for
from wasmlrun.serve.site import SiteSettings
from wasmlrun.serve.site_routes import find_routes
from wasmlrun.serve.work import manifest_of
from wasmlrun.support.errors import BadManifest
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach


def fence_of(
    site: SiteSettings | None,
    models: Sequence[Mapping[str, Any]],
    engine: Mapping[str, Any],
    *,
    keys: Sequence[str] = (),
    required: bool,
) -> Fence:
    """The walls of a child that serves these; with `required` one without them is an error."""
    usual = {"cached": bool(engine["cache"]), "device": engine["device"]}
    reaches: list[Reach | None] = [fence_for(keys=keys, **usual).reach]
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
        reaches.append(fence.reach)
    network = False
    if site is not None:
        granted = [] if site.reload else _manifests(site)
        network = site.reload or any(manifest.http.allowed_hosts for manifest in granted)
        folders = [m for manifest in granted for m in manifest.folders if m.writable]
        reaches.append(
            Reach(
                (site.folder,),
                (site.folder,) if site.reload else (),
                tuple((mount.host, mount.within) for mount in folders),
                site.allow_outside,
            )
        )
    known = [reach for reach in reaches if reach is not None]
    return Fence(
        Reach(
            tuple(path for reach in known for path in reach.reading),
            tuple(path for reach in known for path in reach.writing),
            tuple(mount for reach in known for mount in reach.mounts),
            any(reach.anywhere for reach in known),
            network,
            any(reach.graphics for reach in known),
        ),
        required,
    )


def _manifests(site: SiteSettings) -> list[Manifest]:
    """Of the site's workers. One that is wrong grants nothing; its worker does not start."""
    found = []
    for route in find_routes(site.folder).routes:
        with suppress(BadManifest):
            manifest = manifest_of(route.file, site.folder, allow_outside=site.allow_outside)
            found += [manifest] if manifest is not None else []
    return found
