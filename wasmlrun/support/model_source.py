"""What a model is made of: its encoding and its files or bytes, recognised by content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import Enum
from functools import cached_property
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadModel
from wasmlrun.support.limits import MAX_MODEL_BYTES
from wasmlrun.support.paths import is_dir, is_file
from wasmlrun.support.records import Record


class Encoding(Enum):
    """Model formats; the value is the name used in messages and manifests."""

    OPENVINO = "openvino"
    ONNX = "onnx"
    TENSORFLOW = "tensorflow"
    PYTORCH = "pytorch"
    TENSORFLOW_LITE = "tensorflowlite"
    GGML = "ggml"

    @property
    def number(self) -> int:
        """The number WASI-NN's core ABI has for this encoding."""
        return _NUMBERS[self]

    @property
    def suffix(self) -> str | None:
        """What the name of a file in this format ends in, where that is settled."""
        return next((suffix for suffix, encoding in _SUFFIXES.items() if encoding is self), None)


_NUMBERS = {
    Encoding.OPENVINO: 0,
    Encoding.ONNX: 1,
    Encoding.TENSORFLOW: 2,
    Encoding.PYTORCH: 3,
    Encoding.TENSORFLOW_LITE: 4,
    Encoding.GGML: 5,
}

_SUFFIXES = {
    ".xml": Encoding.OPENVINO,
    ".onnx": Encoding.ONNX,
    ".pb": Encoding.TENSORFLOW,
    ".tflite": Encoding.TENSORFLOW_LITE,
    ".pt": Encoding.PYTORCH,
    ".pt2": Encoding.PYTORCH,
}
SUFFIXES = tuple(_SUFFIXES)


class ModelSource(Record):
    """A model's parts: the bytes of each file in the order that WASI-NN's builders have.

    OpenVINO IR has two parts, XML and weights; every other encoding has one. Models are
    bytes from here on: what was hashed and checked is what the engine gets, whatever
    happens to the file meanwhile.
    """

    encoding: Encoding
    parts: tuple[bytes, ...]
    target: str | None = None
    """The execution target (cpu, gpu, tpu, auto) that whoever named the model wants for it."""

    @cached_property
    def digests(self) -> tuple[str, ...]:
        """sha256 of each part, as of the files that they are."""
        return tuple(hashlib.sha256(part).hexdigest() for part in self.parts)

    @cached_property
    def sha256(self) -> str:
        """Digest of the model: of its only part, or of the parts' digests joined."""
        if len(self.digests) == 1:
            return self.digests[0]
        return hashlib.sha256("".join(self.digests).encode()).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all parts."""
        return sum(map(len, self.parts))


def recognise(data: bytes) -> Encoding | None:
    """The encoding that the first bytes of a model show, None when they show nothing."""
    if data[4:8] == b"TFL3":
        return Encoding.TENSORFLOW_LITE
    if data[:4] == b"GGUF":
        return Encoding.GGML
    if data[:4] == b"PK\x03\x04":
        return Encoding.PYTORCH
    if data[:3] == b"\xef\xbb\xbf" or data[:256].lstrip().startswith(b"<"):
        return Encoding.OPENVINO
    # ONNX is a protobuf whose first field is ir_version (field 1, varint); a frozen
    # TensorFlow graph is one whose first field is a node (field 1, length-delimited).
    if data[:1] == b"\x08":
        return Encoding.ONNX
    if data[:1] == b"\x0a":
        return Encoding.TENSORFLOW
    return None


def encoding_named(name: str) -> Encoding | None:
    """The encoding that a file's name tells of, None when it tells of none."""
    return _SUFFIXES.get(Path(name).suffix.lower())


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
                "known: OpenVINO IR, ONNX, TensorFlow Lite, frozen TensorFlow, PyTorch",
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
    encoding = recognise(data) or _SUFFIXES.get(path.suffix.lower())
    if encoding is None:
        raise BadModel(
            f"model {path} is of no known format",
            "known: OpenVINO IR (.xml with .bin), ONNX (.onnx), TensorFlow Lite (.tflite), "
            "frozen TensorFlow (.pb), PyTorch (.pt, .pt2)",
        )
    if encoding is Encoding.OPENVINO:
        weights = path.with_suffix(".bin")
        if not is_file(weights):
            raise BadModel(
                f"model {path} has no weights beside it: {weights.name} is missing",
                "an OpenVINO IR is two files, NAME.xml and NAME.bin, in one folder",
            )
        return ModelSource(encoding, (data, _read(weights, beside)))
    return ModelSource(encoding, (data,))


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
        else "a model is a .xml with its .bin, a .onnx, a .tflite, a .pb or a .pt file",
    )
