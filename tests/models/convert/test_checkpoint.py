"""Checkpoints of PyTorch, read without it: tensors come out, programs do not run."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from wasmlrun.models.convert.checkpoint import Weights, read_checkpoint


class FloatStorage:
    pass


class LongStorage:
    pass


class _Tensor:
    """Pickles as a tensor of PyTorch does."""

    def __init__(self, storage: Any, offset: int, shape: Any, stride: Any) -> None:
        self.parts: Any = (storage, offset, shape, stride, False, OrderedDict())

    def __reduce__(self) -> Any:
        return sys.modules["torch._utils"]._rebuild_tensor_v2, self.parts


class _Stored:
    def __init__(self, kind: type, key: str, data: bytes, count: int) -> None:
        self.kind, self.key, self.data, self.count = kind, key, data, count


class _Pickler(pickle.Pickler):
    def __init__(self, out: io.BytesIO, legacy: bool) -> None:
        super().__init__(out, 2)
        self.legacy = legacy
        self.storages: dict[str, _Stored] = {}

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Stored):
            return None
        self.storages[obj.key] = obj
        key = ("storage", obj.kind, obj.key, "cpu", obj.count)
        return (*key, None) if self.legacy else key


@pytest.fixture(autouse=True)
def _torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names for the pickles of this test; the reader does not import them."""
    torch, utils = ModuleType("torch"), ModuleType("torch._utils")

    def _rebuild_tensor_v2(*_: object) -> None: ...

    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2  # type: ignore[attr-defined]
    torch._utils = utils  # type: ignore[attr-defined]
    for kind in (FloatStorage, LongStorage):
        monkeypatch.setattr(kind, "__module__", "torch")
        setattr(torch, kind.__name__, kind)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)


def floats(*values: float) -> bytes:
    return struct.pack(f"<{len(values)}f", *values)


def checkpoint(found: Any, *, legacy: bool, little: bool = True) -> bytes:
    """A file as PyTorch writes it: before 1.6, or since."""
    body = io.BytesIO()
    pickler = _Pickler(body, legacy)
    pickler.dump(found)
    out = io.BytesIO()
    if not legacy:
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("m/data.pkl", body.getvalue())
            archive.writestr("m/byteorder", "little" if little else "big")
            for key, stored in pickler.storages.items():
                archive.writestr(f"m/data/{key}", stored.data)
        return out.getvalue()
    for head in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": little}):
        pickle.dump(head, out, 2)
    out.write(body.getvalue())
    pickle.dump(sorted(pickler.storages), out, 2)
    for key in sorted(pickler.storages):
        out.write(struct.pack("<q", pickler.storages[key].count) + pickler.storages[key].data)
    return out.getvalue()


BOTH = pytest.mark.parametrize("legacy", [True, False], ids=["legacy", "zip"])


@BOTH
def test_tensors_come_out_in_c_order(legacy: bool) -> None:
    numbers = _Stored(FloatStorage, "7", floats(0, 1, 2, 3, 4, 5, 6), 7)
    longs = _Stored(LongStorage, "8", struct.pack("<q", 9), 1)
    found = OrderedDict(
        a=_Tensor(numbers, 1, (2, 3), (3, 1)),
        transposed=_Tensor(numbers, 1, (3, 2), (1, 3)),
        count=_Tensor(longs, 0, (), ()),
    )
    assert read_checkpoint(checkpoint(found, legacy=legacy)) == {
        "a": Weights("f32", (2, 3), floats(1, 2, 3, 4, 5, 6)),
        "transposed": Weights("f32", (3, 2), floats(1, 4, 2, 5, 3, 6)),
        "count": Weights("i64", (), struct.pack("<q", 9)),
    }


class _Program:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.write_text, (self.path, "it ran")


@BOTH
def test_a_program_in_it_does_not_run(legacy: bool, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    data = checkpoint({"a": _Program(trap)}, legacy=legacy)
    with pytest.raises(ValueError, match="which no tensor needs"):
        read_checkpoint(data)
    assert not trap.exists()
    for module, name in (("os", "system"), ("builtins", "eval"), ("torch", "load")):
        attack = pickle.PROTO + b"\x02" + f"c{module}\n{name}\n.".encode()
        with pytest.raises(ValueError, match=f"{module}.{name}, which no tensor needs"):
            read_checkpoint(_started() + attack if legacy else _zipped(attack))


def _started() -> bytes:
    """What stands before the tensors in a file of the old layout."""
    heads = (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})
    return b"".join(pickle.dumps(head, 2) for head in heads)


def _zipped(program: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("m/data.pkl", program)
    return out.getvalue()


@BOTH
@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (0, (8,), (1,)),
        (7, (1,), (1,)),
        (0, (2, 4), (4, 1)),
        (0, (2,), (7,)),
        (0, (2**40, 2**40), (0, 0)),
        (-1, (1,), (1,)),
        (0, (-1,), (1,)),
        (0, (2,), (-1,)),
        (0, (2,), ()),
        (0.5, (1,), (1,)),
    ],
)
def test_tensors_stay_in_their_storage(legacy: bool, offset: Any, shape: Any, stride: Any) -> None:
    numbers = _Stored(FloatStorage, "0", floats(*range(7)), 7)
    data = checkpoint({"a": _Tensor(numbers, offset, shape, stride)}, legacy=legacy)
    with pytest.raises(ValueError):  # noqa: PT011 - which of its checks says so is its own affair
        read_checkpoint(data)


@BOTH
def test_what_is_no_checkpoint_of_tensors(legacy: bool) -> None:
    good = checkpoint({"a": 1}, legacy=legacy)
    with pytest.raises(ValueError, match="holds a int, not only tensors"):
        read_checkpoint(good)
    with pytest.raises(ValueError, match="no dictionary of tensors"):
        read_checkpoint(checkpoint([1], legacy=legacy))
    with pytest.raises(ValueError, match="big-endian"):
        read_checkpoint(checkpoint({}, legacy=legacy, little=False))
    short = _Stored(FloatStorage, "0", floats(1), 2)
    with pytest.raises(ValueError, match=r"storage|a tensor"):
        read_checkpoint(checkpoint({"a": _Tensor(short, 0, (2,), (1,))}, legacy=legacy))
    for cut in range(0, len(good), 7):
        with pytest.raises(ValueError):  # noqa: PT011
            read_checkpoint(good[:cut])
    for junk in (b"", b"x", pickle.dumps(1), b"PK\x03\x04"):
        with pytest.raises(ValueError):  # noqa: PT011
            read_checkpoint(junk)
