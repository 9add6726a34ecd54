"""Which files a signature is of, and where it lies.

`net.onnx` has `net.onnx.sig` beside it; so has an IR `net.xml`, whose signature is of two files. A
folder has `model.sig` in it, which is of all its files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding, recognise
from wasmlrun.support.paths import is_dir, is_file
from wasmlrun.support.records import Record
from wasmlrun.trust.bundle import ALONE

SUFFIX = ".sig"
IN_FOLDER = "model.sig"
NOT_SIGNED = (".git", ".gitattributes", ".github", ".gitignore")
"""What of a folder is never signed, as the tool `model_signing` has it."""
_MOST_FILES = 100_000


class Target(Record):
    """What is signed or verified as one."""

    path: Path
    folder: Path
    """Where the names of its files begin."""
    names: tuple[str, ...] | None
    """Its files; None is all that are in the folder."""
    signature: Path
    """Where its signature lies, unless somebody says otherwise."""


def target_of(path: Path) -> Target:
    """What there is to sign under a path.

    Raises:
        BadModel: there is nothing, or it cannot be read.
    """
    if is_dir(path):
        return Target(path, path, None, path / IN_FOLDER)
    beside = path.with_name(path.name + SUFFIX)
    try:
        descriptor = beneath.open_file(path)
    except FileNotFoundError:
        raise BadModel(f"{path} does not exist", "check its path") from None
    except OSError as e:
        raise BadModel(f"{path} cannot be read: {e.strerror}") from e
    with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123 - a descriptor, no path
        head = file.read(256)
    weights = path.with_suffix(Encoding.OPENVINO.format.weights or "")
    if recognise(head) is Encoding.OPENVINO and is_file(weights):
        return Target(path, path.parent, (weights.name, path.name), beside)
    return Target(path, path.parent, (ALONE,), beside)


def digests_of(target: Target, signature: Path, ignored: Iterable[str] = ()) -> dict[str, str]:
    """sha256 of the target's files by name, without the signature and what is ignored.

    Raises:
        BadModel: a file cannot be read, is no regular file, or is a link.
    """
    if target.names is not None:
        found = {
            name: _digest(target.path if name == ALONE else target.folder / name)
            for name in target.names
        }
        return found
    left_out = {*NOT_SIGNED, *ignored, _relative(signature, target.folder)}
    return {
        name: _digest(target.folder / name, target.folder)
        for name in _names(target.folder)
        if not any(_is_below(name, path) for path in left_out)
    }


def left_out_of(target: Target, signature: Path) -> tuple[str, ...]:
    """What a statement says that it leaves out."""
    own = _relative(signature, target.folder) if target.names is None else ""
    return (*NOT_SIGNED, own) if own else NOT_SIGNED


def _names(folder: Path) -> list[str]:
    found = []

    def fail(error: OSError) -> None:
        raise BadModel(f"{error.filename} cannot be read: {error.strerror}") from error

    for where, folders, files in os.walk(folder, onerror=fail):
        folders.sort()
        place = Path(where)
        for name in (*files, *(name for name in folders if (place / name).is_symlink())):
            path = place / name
            if path.is_symlink():
                raise BadModel(
                    f"{path} is a link, and signatures are of files",
                    "put the file itself there, or sign the file alone",
                )
            found.append(path.relative_to(folder).as_posix())
            if len(found) > _MOST_FILES:
                raise BadModel(f"{folder} has more than {_MOST_FILES} files")
    return sorted(found)


def _digest(path: Path, within: Path | None = None) -> str:
    try:
        descriptor = beneath.open_file(path, within=within)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, no path
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise BadModel(f"{path} does not exist", "check its path") from None
    except OSError as e:
        raise BadModel(f"{path} cannot be read: {e.strerror}") from e


def _relative(path: Path, folder: Path) -> str:
    """The path below a folder, empty where it is not there."""
    place, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    return place.relative_to(root).as_posix() if place.is_relative_to(root) else ""


def _is_below(name: str, path: str) -> bool:
    return bool(path) and (name == path or name.startswith(f"{path}/"))
