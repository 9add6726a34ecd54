"""What a model is made of: its encoding and its files or bytes, recognised by content."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.digest import sha256
from wasmlrun.support.errors import BadModel
from wasmlrun.support.limits import MAX_MODEL_BYTES
from wasmlrun.support.paths import is_dir, is_file
from wasmlrun.support.records import Record

_FIRST_AFTER_BLANKS = -1


class Format(Record):
    """One model format: all that is to be known of it, here and nowhere else."""

    name: str
    """As messages, manifests and other hosts' options have it."""
    number: int
    """WASI-NN's, in the core ABI and in the order of the WIT file's enumeration."""
    title: str
    suffixes: tuple[str, ...]
    """What a file's name ends in; the first is given to files that have none."""
    signs: tuple[tuple[int, bytes], ...]
    """What such files begin with: bytes and where they are, one of these is enough."""
    weights: str | None = None
    """Suffix of the second file, where a model is two of them."""
    converses: bool = False
    """Models of language and of speech: they are talked to, and options may follow the weights."""


class Encoding(Enum):
    """Model formats, one row each. Where a folder has one model in several, the first wins."""

    OPENVINO = Format(
        "openvino",
        0,
        "OpenVINO IR",
        (".xml",),
        ((0, b"\xef\xbb\xbf"), (_FIRST_AFTER_BLANKS, b"<")),
        weights=".bin",
    )
    # a protobuf whose first field is ir_version (field 1, varint)
    ONNX = Format("onnx", 1, "ONNX", (".onnx",), ((0, b"\x08"),))
    # a protobuf whose first field is a node (field 1, length-delimited)
    TENSORFLOW = Format("tensorflow", 2, "frozen TensorFlow", (".pb",), ((0, b"\x0a"),))
    TENSORFLOW_LITE = Format("tensorflowlite", 4, "TensorFlow Lite", (".tflite",), ((4, b"TFL3"),))
    PYTORCH = Format("pytorch", 3, "PyTorch", (".pt", ".pt2"), ((0, b"PK\x03\x04"),))
    GGML = Format("ggml", 5, "GGUF", (".gguf",), ((0, b"GGUF"),), converses=True)
    # WasmEdge's number; such files are called .bin, as the weights of others are
    WHISPER = Format("whisper", 9, "Whisper", (".ggml",), ((0, b"lmgg"),), converses=True)

    _value_: str
    format: Format

    def __new__(cls, row: Format) -> Encoding:
        """A member's value is its name in messages and manifests."""
        encoding = object.__new__(cls)
        encoding._value_ = row.name
        encoding.format = row
        return encoding

    @property
    def parts(self) -> int:
        """Of how many files or builders a model is."""
        return 2 if self.format.weights else 1


_BY_SUFFIX = {suffix: encoding for encoding in Encoding for suffix in encoding.format.suffixes}
SUFFIXES = tuple(_BY_SUFFIX)


def known_formats() -> str:
    """Every format with its files, for messages."""
    return ", ".join(
        f"{row.title} ({', '.join(row.suffixes)}"
        + (f" with {row.weights})" if row.weights else ")")
        for row in (encoding.format for encoding in Encoding)
    )


class Demand(Record):
    """Somebody's wish that one of these keys has signed what is loaded."""

    keys: tuple[Path, ...]
    """Files of public keys."""
    said_by: str
    """Who wishes it, for people: a manifest or an option."""
    worker: bool = False
    """Whether every worker must be signed, and not only those that hold their model."""
    within: Path | None = None
    """The folder that the keys must lie in; None is anywhere."""


class ModelSource(Record):
    """A model's parts: the bytes of each file in the order that WASI-NN's builders have.

    OpenVINO IR has two parts, XML and weights; every other encoding has one. Models are
    bytes from here on: what was hashed and checked is what the engine gets, whatever
    happens to the file meanwhile.
    """

    encoding: Encoding
    parts: tuple[bytes, ...]
    """None where only a guest will be told that the model's file does not exist."""
    target: str | None = None
    """The execution target (cpu, gpu, tpu, auto) that whoever named the model wants for it."""
    files: tuple[Path, ...] = ()
    """Where the parts came from; none where they came as bytes."""
    demand: Demand | None = None
    """What the manifest beside the model demands of it."""

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """sha256 of each part, as of the files that they are."""
        return tuple(sha256(part) for part in self.parts)

    @cached_property
    def sha256(self) -> str:
        """Digest of the model: of its only part, or of the parts' digests joined."""
        if len(self.digests) == 1:
            return self.digests[0]
        return sha256("".join(self.digests).encode())

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(map(len, self.parts))


def recognise(data: bytes) -> Encoding | None:
    """The encoding that the first bytes of a model show, None when they show nothing."""
    length, shown = 0, None
    # the longest sign wins: single bytes are at the front of much else
    for encoding in Encoding:
        for place, sign in encoding.format.signs:
            begins = (
                data[:256].lstrip().startswith(sign)
                if place == _FIRST_AFTER_BLANKS
                else data.startswith(sign, place)
            )
            if begins and len(sign) > length:
                length, shown = len(sign), encoding
    return shown


def encoding_named(name: str) -> Encoding | None:
    """The encoding that a file's name tells of, None when it tells of none."""
    return _BY_SUFFIX.get(Path(name).suffix.lower())


def source_of(parts: Sequence[bytes], encoding: Encoding | None) -> ModelSource:
    """A model given as bytes. Without an encoding the bytes decide.

    Raises:
        BadModel: no encoding was given and the bytes show none.
    """
    if encoding is None:
        encoding = recognise(parts[0]) if parts else None
        if encoding is None:
            raise BadModel(
                "the model's bytes are of no known format",
                f"known: {known_formats()}",
            )
    return ModelSource(encoding, tuple(parts))


def read_model(
    path: Path, *, within: Path | None = None, allow_outside: bool = False
) -> ModelSource:
    """Read a model file; the weights of an OpenVINO IR stand beside the XML as `.bin`.

    A file or folder that the user named may be a link. What was only found, in a folder or as
    weights beside, must not lead out of that folder, unless `allow_outside`; with `within`
    nothing leads out of that one.

    Raises:
        BadModel: the file or its weights are missing, unreadable, empty or of no known format.
    """
    beside = within
    if is_dir(path):
        beside = within if within or allow_outside else path
        path = _model_in_folder(path)
        data = _read(path, beside)
    else:
        data = _read(path, within)
        beside = within if within or allow_outside else path.parent
    if not data:
        raise BadModel(f"model {path} is empty")
    encoding = recognise(data) or encoding_named(path.name)
    if encoding is None:
        raise BadModel(f"model {path} is of no known format", f"known: {known_formats()}")
    row = encoding.format
    if row.weights:
        weights = path.with_suffix(row.weights)
        if not is_file(weights):
            raise BadModel(
                f"model {path} has no weights beside it: {weights.name} is missing",
                f"an {row.title} is two files, NAME{row.suffixes[0]} and NAME{row.weights}, "
                "in one folder",
            )
        return ModelSource(encoding, (data, _read(weights, beside)), files=(path, weights))
    return ModelSource(encoding, (data,), files=(path,))


def _read(path: Path, within: Path | None) -> bytes:
    try:
        return beneath.read(path, MAX_MODEL_BYTES, within=within)
    except FileNotFoundError:
        raise BadModel(f"model {path} does not exist", "check its path") from None
    except beneath.Outside as e:
        raise BadModel(f"model {path} cannot be read: {e.strerror}", e.hint) from e
    except OSError as e:
        raise BadModel(f"model {path} cannot be read: {e.strerror}") from e


def _model_in_folder(folder: Path) -> Path:
    """The one model in a folder; wws' fixed name `model.xml` wins."""
    fixed = folder / "model.xml"
    if is_file(fixed):
        return fixed
    found = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if found and len({p.stem for p in found}) == 1:
        # one model in several formats: the first of them that is here
        return min(found, key=lambda p: SUFFIXES.index(p.suffix.lower()))
    what = f"{len(found)} models" if found else "no model"
    raise BadModel(
        f"the folder {folder} holds {what}",
        f"name one file: {', '.join(p.name for p in found)}"
        if found
        else f"known: {known_formats()}",
    )
