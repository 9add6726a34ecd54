"""The digest of bytes, by which models, workers and cached things are known."""

from __future__ import annotations


def sha256(data: bytes | bytearray) -> str:
    """The SHA-256 digest of bytes, as lower-case hex digits."""
    # not before there is something to hash: a library is loaded for it
    import hashlib

    return hashlib.sha256(data).hexdigest()
