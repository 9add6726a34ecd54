"""From a command line to the walls around its work: what was named, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.limits import MAX_MANIFEST_BYTES
from wasmlrun.support.paths import exists, is_dir, is_file
from wasmlrun.support.userdata import cache_dir, data_dir
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
) -> Fence:
    """The walls of a command that was given these.

    Files are readable themselves, a model with what stands beside it under its name, a manifest
    with its whole folder. The folder is writable, and the network there, only where the manifest's
    text has the word for it or the command line says so.
    """
    reading: list[Path] = [Path(name) for name in files if name is not None]
    writing: list[Path] = []
    reading.append(data_dir())
    if cached:
        root = cache_dir()
        with suppress(OSError):  # what cannot be made is told by the cache
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        writing.append(root)
    for name in models:
        if name is not None:
            reading += _of_a_model(name)
    found = _manifest_of(worker, manifest)
    if worker is not None:
        reading.append(Path(worker))
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
        if writable or _mentions(found, b"writable"):
            writing.append(Path("/") if allow_outside else folder)
    network = found is not None and _mentions(found, b"http_requests")
    graphics = device is not None and device.upper() != "CPU"
    return Fence(Reach(tuple(reading), tuple(writing), allow_outside, network, graphics), required)


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


def _mentions(manifest: Path, key: bytes) -> bool:
    # not read as TOML here: a key that hides behind escapes stays without its right
    with suppress(OSError):
        return key in beneath.read(manifest, MAX_MANIFEST_BYTES)
    return False
