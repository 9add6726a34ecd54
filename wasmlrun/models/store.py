"""The shelf: pulled models in the platform's data directory, one folder each.

    models/NAME/            the model, its labels, NAME.toml (its manifest), entry.toml
    models/.partial/NAME/   what is being fetched; continued by the next `pull`
    models/.locks/NAME      one process at a time

A folder appears under its name at once and whole, by a rename. Files are compared with the
digests of the catalogue, or for a user's own models with those of entry.toml, whenever they
are used.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from wasmlrun.manifest.manifest import Classify, Manifest
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.models import own
from wasmlrun.models.catalogue import (
    CLASSIFICATION,
    Entry,
    RemoteFile,
    assignments,
    catalogue,
    check_name,
    check_sha256,
    is_name,
    quoted,
    read_entries,
    write_entry,
)
from wasmlrun.models.connection import Transfer
from wasmlrun.models.download import Watcher, sha256_of, sync_folder
from wasmlrun.models.obtain import obtain
from wasmlrun.models.own import Wanted
from wasmlrun.support import bundled
from wasmlrun.support.errors import BadModel, ShelfFailed, UsageFault
from wasmlrun.support.filelock import exclusive
from wasmlrun.support.model_source import ModelSource, read_model
from wasmlrun.support.records import replace as replaced
from wasmlrun.support.userdata import DATA_DIR, data_dir

ENTRY: Final = "entry.toml"

BUNDLED: Final = "bundled"
AVAILABLE: Final = "available"
PULLED: Final = "pulled"
ADDED: Final = "added"
INCOMPLETE: Final = "incomplete"
OK: Final = "ok"
MISSING: Final = "missing"
DAMAGED: Final = "damaged"
_BUNDLED_DIGESTS = "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Standing:
    """A model and whether it is here; files are looked at by their sizes only."""

    entry: Entry
    state: str
    """`available` to pull, `pulled`, `added` by the user, or `incomplete`."""
    folder: Path


@dataclass(frozen=True, slots=True)
class Checked:
    """What the digest of one file of a model says."""

    model: str
    file: str
    state: str
    """`ok`, `missing` or `damaged`; of signatures, `changed` or `not signed` too."""
    expected: str | None
    found: str | None

    @property
    def fault(self) -> str:
        """What is wrong, for people; empty where nothing is."""
        if self.state == OK:
            return ""
        told = f"{self.file} is {self.state}"
        if self.expected is None or self.found is None:
            return told
        return f"{told}: its sha256 is {self.found}, not {self.expected}"


@dataclass(frozen=True, slots=True)
class Placed:
    """A model that is on the shelf now."""

    entry: Entry
    folder: Path
    changed: bool
    """False when it was there already, whole."""


def bundled_folder(name: str) -> Path | None:
    """The folder of the model that travels with the package, if this is its name."""
    return bundled.model(name) if name == bundled.DEFAULT_MODEL else None


def bundled_entry() -> Entry | None:
    """The model that travels with the package, described as those of the catalogue are."""
    folder = bundled.model(bundled.DEFAULT_MODEL)
    if folder is None:
        return None
    xml = folder / f"{folder.name}.xml"
    weights = xml.with_suffix(".bin")
    return Entry(
        name=folder.name,
        description="the ten classes of CIFAR-10: a demonstration, not for real photographs",
        model=RemoteFile(xml.name, xml.as_uri(), xml.stat().st_size),
        weights=RemoteFile(weights.name, weights.as_uri(), weights.stat().st_size),
        licence="Apache-2.0",
        task=CLASSIFICATION,
    )


def verify_bundled() -> list[Checked]:
    """Compare the bundled model with the list of digests that travels with it.

    Raises:
        ShelfFailed: the model or its list is not there, or cannot be read.
    """
    name = bundled.DEFAULT_MODEL
    folder = bundled.model(name)
    if folder is None:
        raise ShelfFailed(f"model {name} is missing", "install wasmlrun again")
    with _told(folder):
        text = (folder / _BUNDLED_DIGESTS).read_text(encoding="utf-8", errors="replace")
        pairs = [line.split() for line in text.splitlines()]
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise ShelfFailed(f"{folder / _BUNDLED_DIGESTS} is damaged", "install wasmlrun again")
        return [_check(name, folder / f, RemoteFile(f, "", None, d)) for d, f in pairs]


def default(environ: Mapping[str, str] = os.environ) -> Shelf:
    """The store in this user's data directory."""
    return Shelf(data_dir(environ) / "models")


class Shelf:
    """The models in one folder. Nothing is made before something is pulled or added."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, name: str) -> Path:
        """Where the model of this name is or would be."""
        return self.root / name

    def entry(self, name: str) -> Entry | None:
        """The catalogue's model, else a user's own. Raises ShelfFailed for a damaged entry."""
        with _told(self.root):
            own = self._own(name)
        return own if own is not None else catalogue().get(name)

    def names(self) -> list[str]:
        """The catalogue's models, classifiers first and then by task, then the user's own."""
        known = sorted(catalogue(), key=lambda name: (_rank(catalogue()[name].task), name))
        with _told(self.root):
            if self.root.is_dir():
                known += sorted(
                    folder.name
                    for folder in self.root.iterdir()
                    if folder.name not in known and (folder / ENTRY).is_file()
                )
        return known

    def standing(self, name: str) -> Standing:
        """Whether the model is here. Raises ShelfFailed when it is not known at all."""
        entry = self._known(name)
        folder = self.folder(name)
        state = ADDED if entry.own else PULLED
        if not folder.is_dir():
            state = AVAILABLE
        elif not _manifest(folder, name).is_file() or not all(
            _has_size(folder / file.name, file) for file in entry.files
        ):
            state = INCOMPLETE
        return Standing(entry, state, folder)

    def path(self, name: str) -> Path:
        """The folder of a model that is here. Raises ShelfFailed."""
        standing = self.standing(name)
        if standing.state == AVAILABLE:
            raise ShelfFailed(f"model {name} is not pulled", f"wasmlrun models pull {name}")
        return standing.folder

    def verify(self, name: str) -> list[Checked]:
        """Read every file of a model that is here and compare digests. Raises ShelfFailed."""
        folder, entry = self.path(name), self._known(name)
        with _told(folder):
            return [_check(name, folder / file.name, file) for file in entry.files]

    def open(self, name: str) -> tuple[str, ModelSource, Classify]:
        """As `described`, with its settings for `classify` alone."""
        name, source, manifest = self.described(name)
        return name, source, manifest.classify or Classify()

    def described(self, name: str) -> tuple[str, ModelSource, Manifest]:
        """A model that is here, ready for use: its name, its checked bytes, its manifest.

        Raises:
            BadModel: it is not here, not known, or not what was pulled.
            WasmlrunError: its manifest or its entry cannot be read.
        """
        entry = self.entry(name)
        if entry is None:
            raise self._unknown(name)
        folder = self.folder(name)
        if not folder.is_dir():
            raise BadModel(f"model {name} is not on this machine", f"wasmlrun models pull {name}")
        manifest = _manifest(folder, name)
        if not manifest.is_file():
            raise BadModel(f"model {name} is incomplete: {manifest} is missing", _repair(entry))
        source = read_model(folder / entry.model.name)
        for file, part in zip((entry.model, entry.weights), source.parts, strict=False):
            if file is not None:
                _compare(folder / file.name, file, hashlib.sha256(part).hexdigest(), entry)
        if entry.labels is not None and (folder / entry.labels.name).is_file():
            labels = folder / entry.labels.name
            with _told(labels):
                _compare(labels, entry.labels, sha256_of(labels), entry)
        settings = read_manifest(manifest)
        return name, replaced(source, demand=settings.trust), settings

    def pull(self, name: str, transfer: Transfer, watcher: Watcher) -> Placed:
        """Fetch a model, or what is missing or damaged of one that is here.

        Raises:
            ShelfFailed: the model is not known, or the shelf cannot be written.
            DownloadFailed: a file cannot be fetched.
        """
        entry = self._known(name)
        if entry.own:
            # a mirror is of the catalogue's files
            transfer = replace(transfer, mirror=None)
        folder = self.folder(name)
        with _told(self.root), self._locked(name, watcher):
            good = {
                file.name
                for file in entry.files
                if _check(name, folder / file.name, file).state == OK
            }
            if len(good) == len(entry.files) and _is_written(folder, entry):
                return Placed(entry, folder, changed=False)
            stage = self._stage(name)
            for file in entry.files:
                if file.name in good or _check(name, stage / file.name, file).state == OK:
                    continue
                obtain(file, stage / file.name, transfer, watcher)
            self._commit(entry, stage)
        return Placed(entry, folder, changed=True)

    def add(
        self,
        name: str,
        origin: str,
        labels: str | None,
        sha256: str | None,
        transfer: Transfer,
        watcher: Watcher,
    ) -> Placed:
        """Put a model of the user's own on the shelf, from a file or an address.

        The settings come from the manifest beside a local model, where there is one.

        Raises:
            UsageFault: the name cannot be had, or the digest is none.
            ShelfFailed: there is such a model already, or the shelf cannot be written.
            WasmlrunError: the model, the labels or the manifest cannot be had or are not right.
        """
        check_name(name)
        digest = check_sha256(sha256) if sha256 is not None else None
        if name in catalogue() or name == bundled.DEFAULT_MODEL:
            raise UsageFault(
                f"{name} is the name of a model that wasmlrun knows",
                f"take another: wasmlrun models add my-{name} --from …"[:200],
            )
        transfer = replace(transfer, mirror=None)
        wanted = own.look_at(Wanted(name, origin, labels, digest))
        with _told(self.root), self._locked(name, watcher):
            if self.folder(name).exists():
                raise ShelfFailed(
                    f"there is a model {name} already",
                    f"take another name, or first: wasmlrun models remove {name}",
                )
            stage = self._stage(name)
            shutil.rmtree(stage)
            stage.mkdir()
            reserved = {ENTRY, _manifest(stage, name).name}
            entry = own.fetch(wanted, stage, reserved, transfer, watcher)
            self._commit(entry, stage)
        return Placed(entry, self.folder(name), changed=True)

    def remove(self, name: str, watcher: Watcher) -> None:
        """Take a model, and what was left of an attempt to pull it, off the shelf.

        Raises:
            ShelfFailed: it is not here, or cannot be removed.
        """
        check_name(name)
        folder, stage = self.folder(name), self.root / ".partial" / name
        if not folder.is_dir() and not stage.is_dir():
            if bundled_folder(name) is not None:
                raise ShelfFailed(
                    f"model {name} comes with wasmlrun and cannot be removed",
                    "wasmlrun models list shows what can",
                )
            self._known(name)
            raise ShelfFailed(
                f"model {name} is not on this machine, so there is nothing to remove",
                "wasmlrun models list shows what is",
            )
        with _told(folder), self._locked(name, watcher):
            if stage.is_dir():
                shutil.rmtree(stage)
            if folder.is_dir():
                # first its name, then its files: a kill in between leaves no half model
                stage.parent.mkdir(exist_ok=True)
                folder.rename(stage)
                shutil.rmtree(stage)

    def unknown(self, name: str) -> ShelfFailed:
        """That there is no such model, with the nearest names."""
        fault = self._unknown(name)
        return ShelfFailed(fault.message, fault.hint)

    def _own(self, name: str) -> Entry | None:
        # the package's digests count, not those beside the files
        if name in catalogue() or not is_name(name):
            return None
        path = self.folder(name) / ENTRY
        if not path.is_file():
            return None
        found = read_entries(path).get(name)
        if found is None:
            raise ShelfFailed(f"{path} is damaged: it has no model {name}")
        return found

    def _known(self, name: str) -> Entry:
        entry = self.entry(name)
        if entry is None:
            raise self.unknown(name)
        return entry

    def _unknown(self, name: str) -> BadModel:
        # only when it is needed: importing it takes longer than the rest
        from difflib import SequenceMatcher, get_close_matches

        if bundled_folder(name) is not None:
            return BadModel(
                f"model {name} comes with wasmlrun and is not on the shelf",
                f"use it as it is: --model {name}",
            )
        names = [bundled.DEFAULT_MODEL, *self.names()]
        near = get_close_matches(name, names)
        # of those that are equally near the first by name, where difflib has the last
        near.sort(key=lambda other: (-SequenceMatcher(None, other, name).ratio(), other))
        if near:
            told = [self._told_how(n) for n in near]
            return BadModel(f"model {name} does not exist", f"did you mean {' or '.join(told)}?")
        return BadModel(
            f"model {name} does not exist",
            "if it is a file, check its path; wasmlrun models list shows the names",
        )

    def _told_how(self, name: str) -> str:
        if name not in catalogue() or self.folder(name).is_dir():
            return name
        return f"{name} (wasmlrun models pull {name})"

    @contextmanager
    def _locked(self, name: str, watcher: Watcher) -> Iterator[None]:
        locks = self.root / ".locks"
        locks.mkdir(parents=True, exist_ok=True)
        with exclusive(
            locks / name, lambda: watcher.say(f"waiting for another process that has {name}")
        ):
            yield

    def _stage(self, name: str) -> Path:
        stage = self.root / ".partial" / name
        stage.mkdir(parents=True, exist_ok=True)
        return stage

    def _commit(self, entry: Entry, stage: Path) -> None:
        """Everything is fetched and checked: give the folder, or its files, their names."""
        folder = self.folder(entry.name)
        _write(stage / ENTRY, write_entry(entry))
        if not _is_written(folder, entry):
            _write(_manifest(stage, entry.name), _manifest_text(entry))
        wanted = {ENTRY, _manifest(stage, entry.name).name, *(f.name for f in entry.files)}
        for left in stage.iterdir():
            if left.name not in wanted:
                left.unlink()
        sync_folder(stage)
        if not folder.is_dir():
            stage.rename(folder)
        else:
            former = _files_of(folder, entry.name)
            for path in sorted(stage.iterdir()):
                path.replace(folder / path.name)
            for name in former - wanted:
                (folder / name).unlink(missing_ok=True)
            stage.rmdir()
            sync_folder(folder)
        sync_folder(self.root)


def _rank(task: str) -> tuple[bool, str]:
    """Classifiers of pictures first: they are what `classify` uses."""
    return task != CLASSIFICATION, task


def _manifest_text(entry: Entry) -> str:
    """A manifest with the entry's labels and settings."""
    table, name = (entry.infer, "infer") if entry.infer else (entry.classify, "classify")
    table = dict(table)
    if entry.labels is not None:
        table["labels"] = entry.labels.name
    lines = [f"name = {quoted(entry.name)}", 'version = "1"', "", f"[{name}]"]
    return "\n".join([*lines, *assignments(table)]) + "\n"


def _files_of(folder: Path, name: str) -> set[str]:
    """The files that the folder's own entry names: an older catalogue's may differ."""
    try:
        entry = read_entries(folder / ENTRY).get(name)
    except ShelfFailed:
        return set()
    return {file.name for file in entry.files} if entry is not None else set()


def _is_written(folder: Path, entry: Entry) -> bool:
    """Whether the folder has this very entry and a manifest, which the user may have edited."""
    path = folder / ENTRY
    return (
        _manifest(folder, entry.name).is_file()
        and path.is_file()
        and path.read_bytes() == write_entry(entry).encode()
    )


def _manifest(folder: Path, name: str) -> Path:
    return folder / f"{name}.toml"


def _has_size(path: Path, file: RemoteFile) -> bool:
    try:
        return file.size is None or path.stat().st_size == file.size
    except OSError:
        return False


def _check(model: str, path: Path, file: RemoteFile) -> Checked:
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        return Checked(model, file.name, MISSING, file.sha256, None)
    state = OK if found == file.sha256 else DAMAGED
    return Checked(model, file.name, state, file.sha256, found)


def _compare(path: Path, file: RemoteFile, found: str, entry: Entry) -> None:
    if found != file.sha256:
        raise BadModel(
            f"{path} is not the file that was pulled: its sha256 is {found}, not {file.sha256}",
            _repair(entry),
        )


def _repair(entry: Entry) -> str:
    return f"fetch it again: wasmlrun models pull {entry.name}"


def _write(path: Path, text: str) -> None:
    with path.open("wb") as out:
        out.write(text.encode())
        out.flush()
        os.fsync(out.fileno())


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """A failing file system as a ShelfFailed."""
    try:
        yield
    except OSError as e:
        where = e.filename or path
        raise ShelfFailed(
            f"the shelf of models cannot be used: {where}: {e.strerror}",
            f"is there room, and may you write there? {DATA_DIR} names another place",
        ) from e
