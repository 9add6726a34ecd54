"""Signature files that are none, and statements that say what they may not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from kit.signed import make_keys

from wasmlrun.support.errors import BadFile
from wasmlrun.trust import bundle
from wasmlrun.trust.bundle import NotABundle, Statement
from wasmlrun.trust.keys import PrivateKey, read_private, read_public

A, B = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
STATEMENT = Statement("net", {"b/w.bin": B, "a.xml": A}, (".git",))


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> PrivateKey:
    return read_private(make_keys(tmp_path_factory.mktemp("keys"), "key").private)


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_what_is_signed_comes_back(tmp_path: Path, curve: ec.EllipticCurve) -> None:
    keys = make_keys(tmp_path, "key", curve)
    other = read_public(make_keys(tmp_path, "other", curve).public)
    found = bundle.read(bundle.signed(STATEMENT, read_private(keys.private)))
    assert found.statement() == STATEMENT
    assert found.is_by(read_public(keys.public))
    assert not found.is_by(other)


def test_a_signature_that_claims_a_key_is_compared_with_it(key: PrivateKey) -> None:
    data = json.loads(bundle.signed(STATEMENT, key))
    payload = base64.b64decode(data["dsseEnvelope"]["payload"]).replace(A.encode(), B.encode())
    data["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    assert not bundle.read(json.dumps(data).encode()).is_by(key.public)
    # without a name every key is tried
    data = json.loads(bundle.signed(STATEMENT, key))
    data["verificationMaterial"]["publicKey"] = {}
    assert bundle.read(json.dumps(data).encode()).is_by(key.public)


def _set(value: Any, *place: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for step in place[:-1]:
            data = data[step]
        data[place[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set("text", "mediaType"), "media type"),
        (_set({"certificate": {}}, "verificationMaterial"), "certificate or an identity"),
        (_set("application/json", "dsseEnvelope", "payloadType"), "what it signs"),
        (_set([], "dsseEnvelope", "signatures"), "no Sigstore bundle"),
        (_set("%%%", "dsseEnvelope", "payload"), "no Sigstore bundle"),
        (_set(7, "dsseEnvelope"), "no Sigstore bundle"),
    ],
)
def test_bundles_of_another_form(key: PrivateKey, change: Callable[[Any], None], why: str) -> None:
    data = json.loads(bundle.signed(STATEMENT, key))
    change(data)
    with pytest.raises(NotABundle, match=why):
        bundle.read(json.dumps(data).encode())


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff", b"[" * 100_000, b"null", b"7"])
def test_bytes_that_are_no_bundle(data: bytes) -> None:
    with pytest.raises(NotABundle):
        bundle.read(data)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (_set("https://example.com", "predicateType"), "not of https://model_signing"),
        (_set("shards", "predicate", "serialization", "method"), "only sha256 of whole files"),
        (_set("blake3", "predicate", "serialization", "hash_type"), "only sha256 of whole files"),
        (_set("blake3", "predicate", "resources", 0, "algorithm"), "no sha256"),
        (_set("00", "predicate", "resources", 0, "digest"), "no sha256"),
        (_set("../x", "predicate", "resources", 0, "name"), "may not name"),
        (_set("/etc/passwd", "predicate", "resources", 0, "name"), "may not name"),
        (_set("a\nb", "predicate", "resources", 0, "name"), "may not name"),
        (_set("b/w.bin", "predicate", "resources", 0, "name"), "may not name"),
        (_set(B, "predicate", "resources", 0, "digest"), "digest of all files"),
        (_set([], "predicate", "resources"), "digest of all files"),
        (_set(7, "predicate"), "malformed"),
    ],
)
def test_statements_of_another_form(
    key: PrivateKey, change: Callable[[Any], None], why: str
) -> None:
    data = json.loads(bundle.read(bundle.signed(STATEMENT, key)).payload)
    change(data)
    found = bundle.Bundle(None, json.dumps(data).encode(), b"")
    with pytest.raises(NotABundle, match=why):
        found.statement()


def test_keys_of_another_kind(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    keys = make_keys(tmp_path, "key")
    with pytest.raises(BadFile, match="a private key, not a public one"):
        read_public(keys.private)
    with pytest.raises(BadFile, match="is no private key"):
        read_private(keys.public)
    with pytest.raises(BadFile, match="does not exist"):
        read_public(tmp_path / "none.pub")
    odd = make_keys(tmp_path, "odd", ec.SECP256K1())
    for read, file in ((read_public, odd.public), (read_private, odd.private)):
        with pytest.raises(BadFile, match="of a kind that model signatures are not made with"):
            read(file)
    plain = ed25519.Ed25519PrivateKey.generate()
    path = tmp_path / "ed.pem"
    formats = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path.write_bytes(plain.private_bytes(*formats, serialization.NoEncryption()))
    with pytest.raises(BadFile, match="of a kind that model signatures are not made with"):
        read_private(path)
    path.write_bytes(
        plain.private_bytes(*formats, serialization.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(BadFile, match="is encrypted"):
        read_private(path)


def test_a_key_that_is_no_point(tmp_path: Path, key: PrivateKey) -> None:
    der = bytearray(key.public.der)
    der[-1] ^= 1
    text = base64.encodebytes(bytes(der)).decode()
    path = tmp_path / "key.pub"
    path.write_text(f"-----BEGIN PUBLIC KEY-----\n{text}-----END PUBLIC KEY-----\n")
    with pytest.raises(BadFile, match="no point of its curve"):
        read_public(path).verifies(b"", b"")
