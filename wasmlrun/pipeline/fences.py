"""From a command line to the walls around its work: what was named, and nothing besides."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from wasmlrun.support.errors import BadManifest, UsageFault
from wasmlrun.support.paths import exists, is_dir, is_file
from wasmlrun.support.records import replace
from wasmlrun.support.settings import value
from wasmlrun.support.userdata import cache_dir, seal_key, shelf_dir, tools_dir
from wasmlrun.walls.child import Fence
from wasmlrun.walls.reach import Reach


def fence_for(
    *,
    files: Iterable[str | Path | None] = (),
    worker: str | Path | None = None,
    manifest: Path | None = None,
    models: Iterable[str | None] = (),
    dirs: Sequence[str] = (),
    writable: Sequence[str] = (),
    allow_outside: bool = False,
    cached: bool = True,
    device: str | None = None,
    required: bool = False,
    keys: Iterable[str] = (),
) -> Fence:
    """The walls of a command that was given these.

    Files and `keys` are readable themselves, a model with what stands beside it under its name
    and with its signature, a manifest
    with its whole folder. Only folders that the manifest or the command line makes writable can be
    written. There is no network: a manifest's requests are granted to nobody here, only by `serve`.
    """
    reading: list[Path] = [Path(name) for name in files if name is not None]
    writing: list[Path] = []
    reading += [shelf_dir(), tools_dir()]
    if cached:
        root = cache_dir()
        with suppress(OSError):  # what cannot be made is told by the cache
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        writing.append(root)
    for name in (*models, value("model").text):
        if name is not None:
            reading += [*_of_a_model(name), *_signatures_of(name)]
    reading += map(Path, keys)
    found = _manifest_of(worker, manifest)
    mounts: tuple[tuple[Path, Path | None], ...] = ()
    if worker is not None:
        reading += [Path(worker), *_signatures_of(str(worker))]
        reading += key_for(Path(worker))
    for text in dirs:
        from wasmlrun.manifest.mounts import parse_mount  # few command lines need it

        with suppress(UsageFault):  # told where it is read again
            mount = parse_mount(text)
            asked = any(mount.guest.rstrip("/") == path.rstrip("/") for path in writable)
            (writing if mount.writable or asked else reading).append(mount.host)
    if found is not None:
        # also what leads up to it, for a path that goes up and down again
        folder = found.parent
        reading += [found, folder]
        mounts = _writable_in(found, writable, allow_outside)
    reach = Reach(
        tuple(reading),
        tuple(writing),
        mounts,
        anywhere=allow_outside,
        graphics=device is not None and device.upper() != "CPU",
    )
    return Fence(reach, required)


def key_for(worker: Path) -> list[Path]:
    """The key that machine code has to be sealed with, if a worker's file is machine code: nobody
    else is to read it.
    """
    from wasmlrun.binary.magic import AHEAD  # few command lines name a worker
    from wasmlrun.support import beneath

    with suppress(OSError, ValueError):  # told where it is read again
        descriptor = beneath.open_file(worker)
        try:
            return [seal_key()] if os.read(descriptor, len(AHEAD)) == AHEAD else []
        finally:
            os.close(descriptor)
    return []


def fence_for_shelf(places: Iterable[str], *, required: bool = False) -> Fence:
    """The walls of a command that puts on the shelf what lies at these places, files or addresses:
    the shelf alone can be written to, and a network is there for an address that needs one.
    """
    from wasmlrun.models import sources, store  # few commands need them

    root = store.default().root
    with suppress(OSError):  # what cannot be made is told by the shelf
        root.mkdir(parents=True, exist_ok=True)
    files: list[str] = []
    settings: list[Path] = []
    network = False
    for place in places:
        path = sources.local_path(place)
        if path is not None:
            files.append(str(path))
        elif sources.scheme_of(place) is not None:
            network = True
            settings += sources.configuration(place)
    usual = fence_for(models=files, cached=False).reach
    assert usual is not None
    reading = (*usual.reading, *settings)
    return Fence(replace(usual, reading=reading, writing=(root,), network=network), required)


def _manifest_of(worker: str | Path | None, manifest: Path | None) -> Path | None:
    """The manifest that will be read, as far as its name tells."""
    if manifest is not None or worker is None:
        return manifest
    path = Path(worker)
    if is_dir(path):  # a project's folder; there is one manifest in it
        return next(iter(sorted(path.glob("*.toml"))), None)
    beside = path.with_suffix(".toml") if path.name else path
    return beside if is_file(beside) else None


def _of_a_model(text: str) -> list[Path]:
    """A model's files: `[NAME=]FILE`, a folder, or a name that is no file at all."""
    _, equals, file = text.partition("=")
    path = Path(file if equals and not exists(Path(text)) else text)
    if is_dir(path) or not path.name:
        return [path]
    settings = path.with_suffix(".toml")
    if is_file(settings):  # it may name labels in its folder
        return [path, path.parent]
    return [path, path.with_suffix(".bin")]


def _signatures_of(text: str) -> list[Path]:
    """Where the signature of a file lies, if it has one; a folder's is inside."""
    _, equals, file = text.partition("=")
    path = Path(file if equals and not exists(Path(text)) else text)
    if not path.name or is_dir(path):
        return []
    return [path.with_name(path.name + ".sig"), path.with_name("model.sig")]


def _writable_in(
    path: Path, asked: Sequence[str], allow_outside: bool
) -> tuple[tuple[Path, Path | None], ...]:
    """The host folders of a manifest's mounts that may be written to, and where they must lie."""
    from wasmlrun.manifest.reader import read_manifest

    try:
        folders = read_manifest(path, allow_outside=allow_outside).folders
    except BadManifest:  # told where it is read again
        return ()
    wanted = {path.rstrip("/") for path in asked}
    chosen = (m for m in folders if m.writable or m.guest.rstrip("/") in wanted)
    return tuple((m.host, m.within) for m in chosen)
