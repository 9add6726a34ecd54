"""`models verify`: what is here against digests and, where there are keys, against signatures."""

from __future__ import annotations

from pathlib import Path

from wasmlrun.models import store
from wasmlrun.models.store import Checked
from wasmlrun.support import bundled
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.paths import exists
from wasmlrun.support.records import Record


class Wanted(Record):
    """What a model must be."""

    keys: tuple[Path, ...] = ()
    """Public keys of which one must have signed it; none: no signature is asked for."""
    signature: Path | None = None
    """Where the signature lies, if not where it is usual."""


def all_here() -> list[str]:
    """The names of the bundled model and of those that were pulled or added."""
    shelf = store.default()
    return [bundled.DEFAULT_MODEL, *(n for n in shelf.names() if shelf.folder(n).is_dir())]


def verified(name: str, wanted: Wanted) -> list[Checked]:
    """What each file of a model, of a file or of a folder is found to be.

    Raises:
        BadModel, ShelfFailed: there is no such model, or no signature by one of the keys.
        BadFile, UsageFault: a key is none; or nothing is there that it could be compared with.
    """
    found = [] if _is_path(name) else _digests(name)
    if wanted.keys:
        # only here: a comparison of digests needs no keys
        from wasmlrun.trust.keys import read_public
        from wasmlrun.trust.signing import verify

        keys = [read_public(key) for key in wanted.keys]
        verdict = verify(place_of(name), keys, wanted.signature)
        found += [Checked(name, f.file, f.state, f.expected, f.found) for f in verdict.files]
    elif not found:
        raise UsageFault(
            f"{name} is no model that was pulled, so there is no digest to compare it with",
            "with a key its signature is verified: --trusted-key KEY.pub",
        )
    return found


def remedy(name: str, wanted: Wanted) -> str | None:
    """What to do about a model that is not what it must be."""
    if wanted.keys:  # a signature does not say where to get what it is of
        return "get the files again from whoever signed them, or sign them anew"
    if store.bundled_folder(name) is not None:
        return "install wasmlrun again"
    return f"fetch it again: wasmlrun models pull {name}"


def place_of(name: str) -> Path:
    """The file or folder of a path, or of the name of a model that is here. Raises ShelfFailed."""
    if _is_path(name):
        return Path(name)
    return store.bundled_folder(name) or store.default().path(name)


def _digests(name: str) -> list[Checked]:
    if store.bundled_folder(name) is not None:
        return store.verify_bundled()
    return store.default().verify(name)


def _is_path(name: str) -> bool:
    path = Path(name)
    return path.name != name or exists(path)
