"""Keys in PEM files: elliptic curves, as OpenSSF Model Signing has them.

A public key is taken apart here: its curve and point stand at a fixed place, its name is a digest
of its text. Who only compares names loads no library; `cryptography` does what is arithmetic.
"""

from __future__ import annotations

import binascii
import hashlib
import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, UsageFault
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

MAX_KEY_BYTES = 1 << 16
_PUBLIC = re.compile(
    rb"-----BEGIN PUBLIC KEY-----\s*([A-Za-z0-9+/=\s]+?)\s*-----END PUBLIC KEY-----"
)
# what a SubjectPublicKeyInfo begins with, by curve; the point follows
_CURVES = {
    bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200"): ("SECP256R1", 65),
    bytes.fromhex("3076301006072a8648ce3d020106052b81040022036200"): ("SECP384R1", 97),
    bytes.fromhex("30819b301006072a8648ce3d020106052b8104002303818600"): ("SECP521R1", 133),
}
_HASHES = {"SECP256R1": "SHA256", "SECP384R1": "SHA384", "SECP521R1": "SHA512"}


class PublicKey(Record):
    """A key that signatures are verified with."""

    where: str
    """Its file."""
    der: bytes
    """The whole SubjectPublicKeyInfo."""
    curve: str
    """`SECP256R1`, …"""
    point: bytes

    @cached_property
    def name(self) -> str:
        """64 hexadecimal digits: sha256 of the key's PEM text, as signatures name their key."""
        text = binascii.b2a_base64(self.der, newline=False).decode()
        lines = [text[at : at + 64] for at in range(0, len(text), 64)]
        pem = "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""])
        return hashlib.sha256(pem.encode()).hexdigest()

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether the signature of the message was made with this key's other half.

        Raises:
            BadFile: the key is no point of its curve.
            UsageFault: `cryptography` is not installed.
        """
        try:
            from cryptography.exceptions import InvalidSignature
            from cryptography.hazmat.primitives import hashes
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError as e:
            raise _not_installed() from e
        try:
            curve = getattr(ec, self.curve)()
            key = ec.EllipticCurvePublicKey.from_encoded_point(curve, self.point)
        except ValueError as e:
            raise BadFile(f"key {self.where} is damaged: it is no point of its curve") from e
        try:
            key.verify(signature, message, ec.ECDSA(getattr(hashes, _HASHES[self.curve])()))
        except InvalidSignature:
            return False
        return True


class PrivateKey:
    """A key that signs."""

    def __init__(self, key: EllipticCurvePrivateKey, public: PublicKey) -> None:
        self._key = key
        self.public = public
        """Its other half."""

    def sign(self, message: bytes) -> bytes:
        """The message's signature, in DER."""
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec

        return self._key.sign(message, ec.ECDSA(getattr(hashes, _HASHES[self.public.curve])()))


def read_public(path: Path, *, within: Path | None = None) -> PublicKey:
    """The key in a PEM file, which must not lead out of `within` where that is given.

    Raises:
        BadFile: it cannot be read, is none, or is of another kind.
    """
    text = _read(path, within)
    found = _PUBLIC.search(text)
    if found is None:
        what = "a private key, not a public one" if b"PRIVATE KEY" in text else "no public key"
        hint = "make one of it: openssl ec -in KEY.pem -pubout -out KEY.pub"
        raise BadFile(f"key {path} is {what}", hint)
    try:
        der = binascii.a2b_base64(b"".join(found.group(1).split()), strict_mode=True)
    except binascii.Error as e:
        raise BadFile(f"key {path} is damaged: {e}") from e
    return public_of(der, str(path))


def public_of(der: bytes, where: str) -> PublicKey:
    """The key of a SubjectPublicKeyInfo. Raises BadFile for a key of another kind."""
    for prefix, (curve, length) in _CURVES.items():
        point = der[len(prefix) :]
        if der.startswith(prefix) and len(point) == length and point[:1] == b"\4":
            return PublicKey(where, der, curve, point)
    raise BadFile(
        f"key {where} is of a kind that model signatures are not made with",
        "elliptic curves are: P-256, P-384, P-521, their points written in full; "
        "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem makes one",
    )


def read_private(path: Path) -> PrivateKey:
    """The private key in a PEM file.

    Raises:
        BadFile: it cannot be read, is none, is encrypted, or is of another kind.
        UsageFault: `cryptography` is not installed.
    """
    text = _read(path, None)
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ImportError as e:
        raise _not_installed() from e
    try:
        key = serialization.load_pem_private_key(text, None)
    except TypeError as e:
        raise BadFile(
            f"key {path} is encrypted", "decrypt it for this: openssl ec -in KEY.pem -out PLAIN.pem"
        ) from e
    except (ValueError, UnsupportedAlgorithm) as e:
        raise BadFile(f"key {path} is no private key in PEM", "it begins with -----BEGIN") from e
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise BadFile(
            f"key {path} is of a kind that model signatures are not made with",
            "openssl ecparam -name prime256v1 -genkey -noout -out KEY.pem makes one",
        )
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PrivateKey(key, public_of(der, str(path)))


def _read(path: Path, within: Path | None) -> bytes:
    try:
        return beneath.read(path, MAX_KEY_BYTES, within=within)
    except FileNotFoundError:
        raise BadFile(f"key {path} does not exist", "check its path") from None
    except beneath.Outside as e:
        raise BadFile(f"key {path} cannot be read: {e.strerror}", e.hint) from e
    except OSError as e:
        raise BadFile(f"key {path} cannot be read: {e.strerror}") from e


def _not_installed() -> UsageFault:
    return UsageFault(
        "signatures need what is not installed: cryptography", "pip install 'wasmlrun[sign]'"
    )
