"""What a packed module says of itself: two custom sections at its very beginning.

`wasmlrun.pack` is a JSON object: the model's name and digest, the input tensor, how a picture
becomes it, how scores are to be read. `wasmlrun.labels` holds the labels, deflated. Being the first
sections they are found without reading the module.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.records import Record

SCHEMA = 1
_HEADER = b"\0asm\x01\0\0\0"
_ABOUT, _LABELS = b"wasmlrun.pack", b"wasmlrun.labels"
_MOST = 1 << 20
"""Bytes of a section; a module that claims more was not packed here."""


class Description(Record):
    """The module's first sections."""

    about: dict[str, Any]
    labels: Sequence[str] | None

    @property
    def model(self) -> str:
        """Name of the model inside."""
        return str(self.about["model"]["name"])

    @property
    def settings(self) -> Classify | None:
        """How a picture becomes the input, as `[classify]` says it; None where it takes none."""
        picture = self.about["picture"]
        if picture is None:
            return None
        height, width = map(int, picture["size"])
        bound = self.about.get("unsure_below")  # older modules say nothing
        return Classify(
            size=(height, width),
            resize=str(picture["resize"]),
            layout=str(picture["layout"]),
            dtype=str(picture["dtype"]),
            color=str(picture["color"]),
            mean=tuple(map(float, picture["mean"])),
            scale=tuple(map(float, picture["scale"])),
            label_offset=int(self.about["label_offset"]),
            unsure_below=None if bound is None else float(bound),
        )


def is_packed(path: Path) -> bool:
    """Whether a file begins as a packed module does."""
    try:
        start = _start_of(path, len(_HEADER) + 32)
    except OSError:
        return False
    return start.startswith(_HEADER + b"\0") and _ABOUT in start[: len(_HEADER) + 32]


def _start_of(path: Path, size: int) -> bytes:
    """The first bytes of a module; of one that was compiled ahead, what it kept of them."""
    with path.open("rb") as file:
        start = file.read(size)
    if path.suffix != ".cwasm":
        return start
    from wasmlrun.sandbox import ahead

    return ahead.described(path) or b""


def front(module: bytes) -> bytes:
    """The first bytes of a packed module, its description included; nothing of another's."""
    try:
        name, _, at = _section(module, len(_HEADER))
        if name != _ABOUT:
            return b""
        return module[: _section(module, at)[2]]
    except (ValueError, IndexError):
        return b""


def read(path: Path) -> Description:
    """The description in a packed module.

    Raises:
        BadWorker: it has none, or one that is not understood.
    """
    try:
        data = _start_of(path, 2 * _MOST)
    except OSError as e:
        raise _not_understood(path, e) from e
    return understood(data, path)


def understood(data: bytes, path: Path) -> Description:
    """The description in a packed module's first bytes, or in all of them.

    Raises:
        BadWorker: there is none, or one that is not understood.
    """
    import json
    import zlib

    try:
        name, content, at = _section(data, len(_HEADER))
        if name != _ABOUT:
            raise ValueError("it does not begin with a description")
        about = json.loads(content)
        if not isinstance(about, dict) or about.get("schema") != SCHEMA:
            raise ValueError("its description has another schema")
        name, content, _ = _section(data, at)
        labels = None
        if name == _LABELS:
            text = zlib.decompressobj().decompress(content, 64 * _MOST).decode("utf-8")
            labels = text.split("\n") if text else None
        found = Description(about, labels)
        _checked(found)
    except (ValueError, KeyError, TypeError, IndexError, zlib.error) as e:
        raise _not_understood(path, e) from e
    return found


def _not_understood(path: Path, error: Exception) -> BadWorker:
    return BadWorker(
        f"worker {path} says it is packed, and what it says is not understood: {error}",
        "pack the model again: wasmlrun pack MODEL -o " + path.name,
    )


def _checked(found: Description) -> None:
    """Raise an error of the kind that `read` tells where something is missing."""
    if not found.model:
        raise ValueError("its model has no name")
    given = found.about["input"]
    if not all(isinstance(n, int) for n in given["shape"]) or not isinstance(given["dtype"], str):
        raise ValueError("its input is no shape and type")
    settings = found.settings
    if settings is None:
        return
    allowed = {
        "resize": ("crop", "stretch", "pad"),
        "layout": ("NHWC", "NCHW"),
        "dtype": ("u8", "i8", "f32", "f16"),
        "color": ("RGB", "BGR", "gray"),
    }
    for key, values in allowed.items():
        if getattr(settings, key) not in values:
            raise ValueError(f"{key} is {getattr(settings, key)!r}")
    if settings.size is None or min(settings.size) < 1 or 0 in (settings.scale or ()):
        raise ValueError("its sizes or scales are no numbers to work with")


def with_description(module: bytes, about: dict[str, Any], labels: Sequence[str] | None) -> bytes:
    """The module with its description in front."""
    import json
    import zlib

    text = json.dumps({"schema": SCHEMA, **about}, sort_keys=True, separators=(",", ":"))
    packed = zlib.compress("\n".join(labels or ()).encode(), 9)
    sections = _custom(_ABOUT, text.encode()) + _custom(_LABELS, packed)
    return module[: len(_HEADER)] + sections + module[len(_HEADER) :]


def _custom(name: bytes, content: bytes) -> bytes:
    inner = _leb(len(name)) + name + content
    return b"\0" + _leb(len(inner)) + inner


def _section(data: bytes, at: int) -> tuple[bytes, bytes, int]:
    """Name and content of a custom section, and where the next one begins."""
    if data[at] != 0:
        return b"", b"", at
    size, start = _unleb(data, at + 1)
    length, inner = _unleb(data, start)
    end = start + size
    if size > _MOST or inner + length > end or end > len(data):
        raise ValueError("a section reaches beyond the file")
    return data[inner : inner + length], data[inner + length : end], end


def _leb(number: int) -> bytes:
    found = bytearray()
    while number >= 0x80:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def _unleb(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 35, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number is too long")
