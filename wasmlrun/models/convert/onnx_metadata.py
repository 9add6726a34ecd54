"""What an ONNX file says of itself beside the network: letters that a recogniser tells apart."""

from __future__ import annotations

from collections.abc import Iterator

from wasmlrun.support.varint import varint

_METADATA, _KEY, _VALUE = 14, 1, 2
"""Fields of onnx.proto: the properties of a model, and each one's two."""


def lines(data: bytes, key: str) -> bytes:
    """The property of this name, one of several lines.

    Raises:
        ValueError: it is no ONNX file, or has no such property.
    """
    try:
        for entry in _fields(data, _METADATA):
            if b"".join(_fields(entry, _KEY)) == key.encode():
                text = b"".join(_fields(entry, _VALUE)).decode()
                return text.rstrip("\n").encode() + b"\n"
    except IndexError:
        raise ValueError("the file is cut off") from None
    raise ValueError(f"the model has no property {key}")


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    """The values of a field of bytes. Raises ValueError, IndexError."""
    view, at = memoryview(message), 0
    while at < len(view):
        key, at = varint(view, at, 64)
        if key & 7 == 0:
            _, at = varint(view, at, 64)
        elif key & 7 == 2:
            size, at = varint(view, at, 64)
            if at + size > len(view):
                raise ValueError("a field reaches beyond its message")
            if key >> 3 == wanted:
                yield bytes(view[at : at + size])
            at += size
        elif key & 7 in (1, 5):
            at += 8 if key & 7 == 1 else 4
        else:
            raise ValueError("no ONNX file")
