"""What a model or a worker has to pass where somebody demands that it is signed.

The manifest, the manifest beside a model, and the command line may each demand a signature by one
of their keys. All of them must be satisfied: a manifest can ask for more and never for less. What
is compared with a signature are the bytes that are used from then on.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from wasmlrun.support import beneath, bundled
from wasmlrun.support.cache import Cache, key_of
from wasmlrun.support.errors import BadModel, BadWorker, WasmlrunError
from wasmlrun.support.model_source import Demand, ModelSource
from wasmlrun.support.records import Record
from wasmlrun.trust.keys import PublicKey, read_public

KIND = "signatures"
# as in trust.bundle and trust.files, which a signature that is known needs nothing of
_MAX_BUNDLE_BYTES = 16 << 20
_SUFFIX, _IN_FOLDER, _ALONE = ".sig", "model.sig", "."
_MOST_LOOKED_AT = 10_000
"""Files in mounted folders among which signatures are looked for."""
_PACKED = (b"\0asm\x01\0\0\0\0", b"wasmlrun.pack")


class _Subject(Record):
    """What is to be signed, as one."""

    kind: type[WasmlrunError]
    what: str
    """For people: `model net.onnx`."""
    names: tuple[str, ...]
    digests: tuple[str, ...]
    places: tuple[Path, ...]
    """Where its signature may lie; none where only its bytes are known."""

    @property
    def told(self) -> str:
        """The digests, for people."""
        if len(self.names) < 2:
            return f"sha256:{self.digests[0]}"
        pairs = zip(self.names, self.digests, strict=True)
        return ", ".join(f"{name} sha256:{digest}" for name, digest in pairs)


class Gate:
    """Threads may share it."""

    def __init__(
        self,
        demands: Sequence[Demand],
        *,
        folders: Sequence[Path] = (),
        cache: Cache | None = None,
    ) -> None:
        """Models must satisfy these demands, and so must packed workers; other workers those that
        say so. Models that a guest brings as bytes have their signatures below `folders`. That a
        signature is right is remembered in the cache.

        Raises:
            BadFile: a key cannot be read, or is none.
        """
        self._demands = demands
        self._folders = folders
        self._cache = cache or Cache(None)
        self._keys = {demand: _keys_of(demand) for demand in demands}
        self._passed: set[tuple[str, Demand | None]] = set()

    def admit_model(self, source: ModelSource, what: str) -> None:
        """Refuse a model that no demanded key has signed.

        Raises:
            BadModel: it has no signature, or is not what was signed.
        """
        own = source.demand
        if (source.sha256, own) in self._passed:
            return
        files = source.files
        demands = self._demands if own is None else (*self._demands, own)
        if files:
            names = tuple(file.name for file in files)
            subject = _Subject(BadModel, what, names, source.digests, _places(files[0]))
        else:
            names = tuple(f"part {n}" for n in range(len(source.parts)))
            subject = _Subject(BadModel, what, names, source.digests, ())
        for demand in demands:
            if demand not in self._keys:
                self._keys[demand] = _keys_of(demand)
            self._satisfy(demand, subject)
        self._passed |= {(source.sha256, own), (source.sha256, None)}

    def admit_worker(self, path: Path, code: bytes) -> None:
        """Refuse a worker's module whose signature is demanded and wrong. Raises BadWorker."""
        head, name = _PACKED
        packed = code.startswith(head) and name in code[:64]
        demands = [demand for demand in self._demands if packed or demand.worker]
        if not demands or path == bundled.worker(path.stem):
            return
        digest = hashlib.sha256(code).hexdigest()
        subject = _Subject(BadWorker, f"worker {path}", (path.name,), (digest,), _places(path))
        for demand in demands:
            self._satisfy(demand, subject)

    def admit_script(self, path: Path, text: str) -> None:
        """Refuse a worker's script; the interpreter that it has is wasmlrun's. Raises BadWorker."""
        self.admit_worker(path, text.encode())

    def _satisfy(self, demand: Demand, subject: _Subject) -> None:
        """Raise an error of the subject's kind unless a key of the demand has signed it."""
        keys, faults = self._keys[demand], []
        for place in subject.places or self._signatures():
            try:
                data = beneath.read(place, _MAX_BUNDLE_BYTES)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as e:
                faults.append(f"signature {place} cannot be read: {e.strerror}")
                continue
            try:
                signed = self._signed(place, data, keys)
            except BadModel as e:
                faults.append(e.message)
                continue
            fault = _compared(subject, place, signed)
            if fault is None:
                return
            faults.append(fault)
        raise self._refused(subject, demand, faults)

    def _signed(self, place: Path, data: bytes, keys: Sequence[PublicKey]) -> Mapping[str, str]:
        """Names and sha256 of the files that a signature is of. Raises BadModel."""
        about = hashlib.sha256(data).hexdigest()
        for key in keys:
            known = self._cache.get(KIND, key_of("signature-1", key.name, about))
            if known is not None:
                lines = known.data.decode().splitlines()
                return {line[65:]: line[:64] for line in lines}
        from wasmlrun.trust import bundle
        from wasmlrun.trust.signing import maker

        try:
            found = bundle.read(data)
            key, files = maker(found, keys, place), found.statement().files
        except bundle.NotABundle as e:
            raise BadModel(f"signature {place} cannot be read: {e}") from e
        lines = [f"{digest} {name}" for name, digest in files.items()]
        remembered = key_of("signature-1", key.name, about)
        self._cache.put(KIND, remembered, f"signature {place.name}", "\n".join(lines).encode())
        return files

    def _signatures(self) -> Iterator[Path]:
        """The signatures below the mounted folders."""
        looked_at = 0
        for folder in self._folders:
            for where, _, files in os.walk(folder):
                looked_at += len(files)
                if looked_at > _MOST_LOOKED_AT:
                    return
                yield from (Path(where, name) for name in sorted(files) if name.endswith(_SUFFIX))

    def _refused(self, subject: _Subject, demand: Demand, faults: Sequence[str]) -> WasmlrunError:
        hint = f"{demand.said_by} demands a signature: wasmlrun models sign FILE --key KEY.pem"
        if faults and subject.places:
            return subject.kind(f"{subject.what}: {'; '.join(faults)}", hint)
        if subject.places:
            where = " nor ".join(place.name for place in subject.places)
            where = f"neither {where} is in {subject.places[0].parent}"
        else:
            looked = f"{len(faults)} signatures were looked at" if faults else "there is none"
            where = f"{looked} in the mounted folders"
        return subject.kind(f"{subject.what} has no signature: {where} ({subject.told})", hint)


def _keys_of(demand: Demand) -> tuple[PublicKey, ...]:
    return tuple(read_public(path, within=demand.within) for path in demand.keys)


def _places(file: Path) -> tuple[Path, Path]:
    return file.with_name(file.name + _SUFFIX), file.with_name(_IN_FOLDER)


def _compared(subject: _Subject, place: Path, signed: Mapping[str, str]) -> str | None:
    """What is wrong with the subject by a signature that is right; None when nothing is."""
    if not subject.places:
        # bytes without a name: one signature must have them all
        if set(subject.digests) <= set(signed.values()):
            return None
        return f"{subject.told} is not what {place} is of"
    for name, digest in zip(subject.names, subject.digests, strict=True):
        expected = signed.get(name)
        if expected is None and len(subject.names) == 1:
            expected = signed.get(_ALONE)
        if expected is None:
            return f"signature {place} does not name {name} (sha256:{digest})"
        if expected != digest:
            return (
                f"{name} is not what was signed: its sha256 is {digest}, not {expected} ({place})"
            )
    return None
