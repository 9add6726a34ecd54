"""What a source says of a file: where its bytes are, and what is to be made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Located:
    """Where there are bytes to download."""

    address: str
    """https, http or file."""
    name: str
    """The file's own name, under which a mirror holds it."""
    size: int | None = None
    digest: tuple[str, str] | None = None
    """What the index or registry says the bytes are: an algorithm of hashlib, lower-case hex."""
    member: str | None = None
    """The path in a wheel or tarball; None where the bytes are the file."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """What the server wants to be told, such as a token."""
    authority: str | None = None
    """A file of certificates to trust besides the system's."""
