"""What a shell completes: names of models and of workers."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.support.errors import WasmlrunError


def models(begun: str) -> list[str]:
    """Names of models that begin so: the bundled one, those of the catalogue, the user's own."""
    from wasmlrun.models import store
    from wasmlrun.support import bundled

    try:
        known = [bundled.DEFAULT_MODEL, *store.default().names()]
    except WasmlrunError:
        known = [bundled.DEFAULT_MODEL]
    return [name for name in known if name.startswith(begun)]


def models_here(begun: str) -> list[str]:
    """Those of them that are on this machine."""
    from wasmlrun.models import store
    from wasmlrun.support import bundled

    shelf = store.default()
    return [n for n in models(begun) if n == bundled.DEFAULT_MODEL or shelf.folder(n).is_dir()]


def workers(begun: str) -> list[str]:
    """The bundled worker, and folders here that are projects."""
    from wasmlrun.support import bundled
    from wasmlrun.toolkit.project import read_project

    found = [bundled.DEFAULT_WORKER]
    for folder in sorted(path for path in Path().iterdir() if path.is_dir()):
        try:
            read_project(folder)
        except (WasmlrunError, OSError):
            continue
        found.append(folder.name)
    return [name for name in found if name.startswith(begun)]
