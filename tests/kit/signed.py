"""Keys for signatures, and the tool `model_signing` to make and verify them with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec


@dataclass(frozen=True)
class Keys:
    """The files of a key's two halves."""

    private: Path
    public: Path


def make_keys(folder: Path, name: str, curve: ec.EllipticCurve | None = None) -> Keys:
    """A new pair, of P-256 unless another curve is given."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return Keys(private, public)


def model_signing(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """OpenSSF's tool, as a process."""
    return subprocess.run(
        [sys.executable, "-m", "model_signing", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
