"""Weights out of a PyTorch checkpoint, without PyTorch and without running what is in it.

A checkpoint is a pickle, and a pickle is a program. The reader here knows the three names that
a dictionary of tensors needs and refuses every other, so that the program can build such a
dictionary and do nothing else. Both layouts are read: one pickle after another with the numbers
behind them (before PyTorch 1.6), and a zip archive.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_PROTOCOL: Final = 1001


@dataclass(frozen=True, slots=True)
class Weights:
    """A tensor of a checkpoint: `data` is little-endian, in C order."""

    kind: str
    """`f32` or `i64`."""
    shape: tuple[int, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    size: int
    """Bytes an element."""


@dataclass(slots=True)
class _Storage:
    kind: _Kind
    count: int
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class _View:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    """In elements; other than C order where the checkpoint was made from another framework's."""


_KINDS: Final = {"FloatStorage": _Kind("f32", 4), "LongStorage": _Kind("i64", 8)}


def read_checkpoint(data: bytes) -> Mapping[str, Weights]:
    """The tensors of a checkpoint by their names.

    Raises:
        ValueError: it is none, is damaged, or holds something other than tensors.
    """
    try:
        views = _from_zip(data) if data[:4] == b"PK\x03\x04" else _from_pickles(data)
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        MemoryError,
        TypeError,
        struct.error,
    ) as e:
        raise ValueError(f"no checkpoint of tensors: {e}") from e
    if not isinstance(views, dict):
        raise ValueError("the checkpoint is no dictionary of tensors")
    return {str(name): _weights(view) for name, view in views.items()}


def _from_pickles(data: bytes) -> Any:
    stream = io.BytesIO(data)
    if (_Loader(stream).load(), _Loader(stream).load()) != (_MAGIC, _PROTOCOL):
        raise ValueError("not a PyTorch checkpoint")
    if _Loader(stream).load().get("little_endian") is not True:
        raise ValueError("the checkpoint's numbers are big-endian")
    loader = _Loader(stream)
    found = loader.load()
    for key in _Loader(stream).load():
        storage = loader.storages[key]
        (count,) = struct.unpack("<q", stream.read(8))
        if count != storage.count:
            raise ValueError(f"storage {key} has {count} numbers, not {storage.count}")
        storage.data = stream.read(count * storage.kind.size)
    return found


def _from_zip(data: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        (index,) = [name for name in names if name.endswith("/data.pkl")] or [""]
        loader = _Loader(io.BytesIO(archive.read(index)))
        found = loader.load()
        order = index.removesuffix("data.pkl") + "byteorder"
        if order in names and archive.read(order) != b"little":
            raise ValueError("the checkpoint's numbers are big-endian")
        for key, storage in loader.storages.items():
            member = archive.getinfo(f"{index.removesuffix('data.pkl')}data/{key}")
            if member.file_size != storage.count * storage.kind.size:
                raise ValueError(f"storage {key} has {member.file_size} bytes")
            storage.data = archive.read(member)
    return found


def _weights(view: Any) -> Weights:
    import numpy as np  # only here: nothing else of a download needs it

    if not isinstance(view, _View):
        raise ValueError(f"the checkpoint holds a {type(view).__name__}, not only tensors")
    kind, data = view.storage.kind, view.storage.data
    if math.prod(view.shape) > len(data) // kind.size:
        raise ValueError("a tensor is larger than its storage")
    # numpy refuses what reaches out of the buffer
    array: np.ndarray[Any, Any] = np.ndarray(
        view.shape,
        "<f4" if kind.name == "f32" else "<i8",
        data,
        view.offset * kind.size,
        tuple(step * kind.size for step in view.stride),
    )
    return Weights(kind.name, view.shape, array.tobytes())


def _rebuild(
    storage: _Storage,
    offset: int,
    shape: Sequence[int],
    stride: Sequence[int],
    requires_grad: bool,
    hooks: object,
) -> _View:
    """What `torch._utils._rebuild_tensor_v2` is called for."""
    if not isinstance(storage, _Storage):
        raise pickle.UnpicklingError("a tensor without numbers")
    numbers = (offset, *shape, *stride)
    if len(shape) != len(stride) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise pickle.UnpicklingError(f"a tensor of shape {shape}, stride {stride} at {offset}")
    return _View(storage, offset, tuple(shape), tuple(stride))


class _Loader(pickle.Unpickler):
    """Builds dictionaries of tensors; any other name in the pickle is refused."""

    def __init__(self, stream: io.BytesIO) -> None:
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        """The three names, and storages' kinds."""
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch" and name in _KINDS:
            return _KINDS[name]
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no tensor needs")

    def persistent_load(self, key: Any) -> _Storage:
        """A storage: its numbers stand elsewhere in the file."""
        what, kind, name, _, count = key[:5]
        if what != "storage" or not isinstance(kind, _Kind) or not isinstance(count, int):
            raise pickle.UnpicklingError(f"{what!r} is no storage")
        if count < 0 or (len(key) > 5 and key[5] is not None):
            raise pickle.UnpicklingError("a storage that is part of another")
        return self.storages.setdefault(str(name), _Storage(kind, count))
