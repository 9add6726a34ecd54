"""A user's own model: what is given on the command line becomes files and an entry."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from wasmlrun.manifest.manifest import Classify
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.models.catalogue import Entry, RemoteFile, file_name
from wasmlrun.models.connection import Transfer
from wasmlrun.models.download import Watcher
from wasmlrun.models.obtain import obtain
from wasmlrun.models.sources import check_address, is_packed, scheme_of
from wasmlrun.support.errors import BadModel, UsageFault
from wasmlrun.support.messages import printable
from wasmlrun.support.model_source import SUFFIXES, known_formats, read_model, recognise
from wasmlrun.support.paths import is_dir, is_file
from wasmlrun.support.records import defaults
from wasmlrun.vision.labels import read_labels


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says about a model, and the settings found beside it."""

    name: str
    origin: str
    """A path or an address, as `labels` is."""
    labels: str | None = None
    sha256: str | None = None
    """Digest that the model must have."""
    settings: Classify = field(default_factory=Classify)


def look_at(wanted: Wanted) -> Wanted:
    """Look at local files in place, so that what is wrong is told in the user's own words.

    The settings come from the manifest beside a local model, and so do the labels if none
    are given.

    Raises:
        WasmlrunError: a file is missing or is not what it should be.
    """
    if not _is_address(wanted.origin):
        settings = _settings_beside(Path(wanted.origin))
        read_model(Path(wanted.origin))
        beside = None if settings.labels is None else str(settings.labels)
        if wanted.labels is None and settings.labels is not None:
            read_labels(settings.labels, within=settings.within)
        wanted = replace(wanted, settings=settings, labels=wanted.labels or beside)
    if wanted.labels is not None and not _is_address(wanted.labels):
        read_labels(Path(wanted.labels))
    return wanted


def fetch(
    wanted: Wanted, stage: Path, reserved: set[str], transfer: Transfer, watcher: Watcher
) -> Entry:
    """Fetch a model, an IR's weights and the labels into the folder `stage`.

    `reserved` are file names that none of them may take.

    Raises:
        WasmlrunError: a file cannot be fetched, or is not what it should be.
        OSError: the folder cannot be written.
    """
    address = _address(wanted.origin)
    taken = set(reserved)
    model = RemoteFile(_last_name(address, taken, "model"), address, None, wanted.sha256)
    model = obtain(model, stage / model.name, transfer, watcher)
    if Path(model.name).suffix.lower() not in SUFFIXES:
        # a folder's model is found by its suffix
        renamed = model.name + _suffix_for(stage / model.name)
        (stage / model.name).replace(stage / renamed)
        model = replace(model, name=renamed)
    taken.add(model.name)
    weights = None
    if model.name.lower().endswith(".xml"):
        weights = RemoteFile(Path(model.name).stem + ".bin", _beside(address, ".bin"))
        weights = obtain(weights, stage / weights.name, transfer, watcher)
        taken.add(weights.name)
    read_model(stage / model.name)
    text = None
    if wanted.labels is not None:
        address = _address(wanted.labels)
        text = RemoteFile(_last_name(address, taken, "labels.txt"), address)
        text = obtain(text, stage / text.name, transfer, watcher)
        read_labels(stage / text.name)
    return Entry(
        name=wanted.name,
        description=f"added from {printable(wanted.origin, keep='')}",
        model=model,
        weights=weights,
        labels=text,
        source=model.address,
        classify=_keys(wanted.settings),
        own=True,
    )


def _settings_beside(model: Path) -> Classify:
    """The settings in the manifest beside a model's file, where there is one."""
    if is_dir(model):
        raise UsageFault(f"{model} is a folder", "name the model's file in it")
    manifest = model.with_suffix(".toml")
    if not is_file(manifest):
        return Classify()
    return read_manifest(manifest, within=model.parent).classify or Classify()


def _suffix_for(path: Path) -> str:
    """The suffix that fits a model's content. Raises BadModel."""
    with path.open("rb") as stream:
        encoding = recognise(stream.read(512))
    if encoding is None:
        raise BadModel(f"{path.name} is of no known format", f"known: {known_formats()}")
    return encoding.format.suffixes[0]


def _keys(settings: Classify) -> dict[str, Any]:
    """What a manifest says under `[classify]`, but for the files."""
    said = {name: (getattr(settings, name), least) for name, least in defaults(Classify).items()}
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (value, least) in said.items()
        if value != least and name not in ("labels", "model", "within")
    }


def _is_address(origin: str) -> bool:
    # a drive letter of Windows looks like a scheme too
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", origin)) or scheme_of(origin) is not None


def _address(origin: str) -> str:
    if not _is_address(origin):
        return Path(origin).absolute().as_uri()
    return check_address(origin)


def _last_name(address: str, taken: set[str], otherwise: str) -> str:
    url = urlsplit(address)
    # in a package it is the fragment that names the file
    path = url.fragment if is_packed(address) and url.fragment else url.path
    name = file_name(PurePosixPath(unquote(path)).name or otherwise)
    return otherwise if name in taken else name


def _beside(address: str, suffix: str) -> str:
    url = urlsplit(address)
    if is_packed(address):
        package, hash_sign, member = address.partition("#")
        return package + hash_sign + str(PurePosixPath(member).with_suffix(suffix))
    return urlunsplit(url._replace(path=str(PurePosixPath(url.path).with_suffix(suffix))))
