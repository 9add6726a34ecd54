"""Making a signature, and comparing all that a signature is of with what is there."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, BadModel
from wasmlrun.support.records import Record
from wasmlrun.trust import bundle
from wasmlrun.trust.bundle import ALONE, Bundle, NotABundle, Statement
from wasmlrun.trust.files import digests_of, left_out_of, target_of
from wasmlrun.trust.keys import PrivateKey, PublicKey

OK, CHANGED, MISSING, UNSIGNED = "ok", "changed", "missing", "not signed"


class Signed(Record):
    """A signature that was made."""

    signature: Path
    key: str
    """Name of the key."""
    files: Sequence[tuple[str, str]]
    """Each file's name and sha256."""


class Compared(Record):
    """One file, and what its signature says of it."""

    file: str
    state: str
    expected: str | None
    """sha256; None where the signature does not name it."""
    found: str | None
    """sha256; None where there is no such file."""


class Verdict(Record):
    """A signature that is right, and the files that it is of."""

    signature: Path
    key: str
    files: Sequence[Compared]


def sign(path: Path, key: PrivateKey, signature: Path | None = None) -> Signed:
    """Sign a file, an IR's two files, or a folder; the signature appears whole or not at all.

    Raises:
        BadModel: there is nothing to sign, or it cannot be read.
        BadFile: the signature cannot be written.
    """
    target = target_of(path)
    place = signature or target.signature
    files = digests_of(target, place)
    if not files:
        raise BadModel(f"{path} holds no file to sign")
    name = Path(os.path.realpath(path)).name
    statement = Statement(name, files, left_out_of(target, place))
    _write(place, bundle.signed(statement, key))
    return Signed(place, key.public.name, sorted(files.items()))


def verify(path: Path, keys: Sequence[PublicKey], signature: Path | None = None) -> Verdict:
    """Compare a file or a whole folder with its signature, which one of the keys must have made.

    Raises:
        BadModel: there is no signature, it is none, or it is by another key; the path is nothing.
    """
    target = target_of(path)
    place = signature or target.signature
    by, statement = opened(place, keys)
    signed = dict(statement.files)
    found = digests_of(target, place, statement.ignored)
    alone = target.names == (ALONE,)
    if alone and ALONE not in signed and path.name in signed:
        # the signature of a folder, asked about one of its files
        signed = {ALONE: signed[path.name]}
    elif target.names is not None:
        signed = {name: digest for name, digest in signed.items() if name in target.names} or signed
    compared = []
    for name in sorted({*signed, *found}):
        expected, here = signed.get(name), found.get(name)
        state = OK if expected == here else CHANGED
        state = UNSIGNED if expected is None else MISSING if here is None else state
        compared.append(Compared(path.name if name == ALONE else name, state, expected, here))
    return Verdict(place, by.name, compared)


def opened(place: Path, keys: Sequence[PublicKey]) -> tuple[PublicKey, Statement]:
    """A signature's statement and the one of the keys that made it.

    Raises:
        BadModel: there is no such file, it is no signature, or it is by another key.
    """
    try:
        data = beneath.read(place, bundle.MAX_BUNDLE_BYTES)
    except FileNotFoundError:
        raise BadModel(
            f"signature {place} does not exist", "wasmlrun models sign PATH --key KEY.pem makes one"
        ) from None
    except OSError as e:
        raise BadModel(f"signature {place} cannot be read: {e.strerror}") from e
    try:
        found = bundle.read(data)
        return maker(found, keys, place), found.statement()
    except NotABundle as e:
        raise BadModel(f"signature {place} cannot be read: {e}") from e


def maker(found: Bundle, keys: Sequence[PublicKey], place: Path) -> PublicKey:
    """The one of the keys that made a signature. Raises BadModel."""
    for key in keys:
        if found.is_by(key):
            return key
    trusted = ", ".join(f"sha256:{key.name} ({key.where})" for key in keys)
    if any(found.key == key.name for key in keys):
        what = f"signature {place} is forged or damaged: the key that it names did not make it"
    elif found.key is None:
        what = f"signature {place} is by none of the trusted keys"
    else:
        what = f"signature {place} is by another key: sha256:{found.key}"
    raise BadModel(f"{what}; trusted: {trusted}", "is it the right key, and the right signature?")


def _write(place: Path, data: bytes) -> None:
    temporary = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        temporary.write_bytes(data)
        temporary.replace(place)
    except OSError as e:
        raise BadFile(f"signature {place} cannot be written: {e.strerror}") from e
    finally:
        temporary.unlink(missing_ok=True)
