"""A signature file: a Sigstore bundle with a DSSE envelope around an in-toto statement.

The form of OpenSSF Model Signing 1.0, for keys: what the tool `model_signing sign key` writes, and
what `model_signing verify key` reads. A statement names files with their sha256; a single file that
is signed by itself is called `.`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.support.records import Record
from wasmlrun.trust.keys import PrivateKey, PublicKey

MAX_BUNDLE_BYTES = 16 << 20
ALONE = "."
"""The name of a file that is signed by itself."""
_MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PAYLOAD = "application/vnd.in-toto+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
# what a text that is not of this form raises when it is taken apart
_MALFORMED = (KeyError, TypeError, IndexError, AttributeError, RecursionError, ValueError)


class NotABundle(ValueError):
    """The bytes are no signature of this kind; the message says why."""


class Statement(Record):
    """What a signature is of."""

    name: str
    """What the signer called the model; nothing follows from it."""
    files: Mapping[str, str]
    """sha256 of each file by its path below the model's folder, with `/`."""
    ignored: tuple[str, ...] = ()
    """Files and folders that the signer left out."""


class Bundle(Record):
    """A signature as it was read: nothing is verified yet."""

    key: str | None
    """Name of the key that it claims; None where it names none."""
    payload: bytes
    signature: bytes

    def is_by(self, key: PublicKey) -> bool:
        """Whether this key made the signature. Raises as `PublicKey.verifies`."""
        if self.key is not None and self.key != key.name:
            return False
        return key.verifies(self.signature, _encoded(self.payload))

    def statement(self) -> Statement:
        """What the signature is of. Raises NotABundle."""
        try:
            return _statement(json.loads(self.payload))
        except NotABundle:
            raise
        except _MALFORMED as e:
            raise NotABundle(f"its statement is malformed ({type(e).__name__})") from e


def read(data: bytes) -> Bundle:
    """A signature file's bytes taken apart. Raises NotABundle."""
    try:
        bundle = json.loads(data)
        if bundle["mediaType"] != _MEDIA:
            raise NotABundle(f"its media type is not {_MEDIA}")
        material = bundle["verificationMaterial"]
        if "publicKey" not in material:
            raise NotABundle("it was made with a certificate or an identity, not with a key")
        hint = (material["publicKey"] or {}).get("hint")
        envelope = bundle["dsseEnvelope"]
        if envelope["payloadType"] != _PAYLOAD:
            raise NotABundle(f"what it signs is not {_PAYLOAD}")
        (one,) = envelope["signatures"]
        return Bundle(
            str(hint) if hint else None,
            base64.b64decode(envelope["payload"], validate=True),
            base64.b64decode(one["sig"], validate=True),
        )
    except NotABundle:
        raise
    except (*_MALFORMED, binascii.Error) as e:
        raise NotABundle(f"it is no Sigstore bundle ({type(e).__name__})") from e


def signed(statement: Statement, key: PrivateKey) -> bytes:
    """The signature file of a statement."""
    payload = json.dumps(_payload(statement), indent=2).encode()
    bundle = {
        "mediaType": _MEDIA,
        "verificationMaterial": {"publicKey": {"hint": key.public.name}, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": _PAYLOAD,
            "signatures": [
                {"sig": base64.b64encode(key.sign(_encoded(payload))).decode(), "keyid": ""}
            ],
        },
    }
    return json.dumps(bundle).encode()


def _encoded(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: the type is signed too."""
    return f"DSSEv1 {len(_PAYLOAD)} {_PAYLOAD} {len(payload)} ".encode() + payload


def _payload(statement: Statement) -> dict[str, Any]:
    names = sorted(statement.files)
    return {
        "_type": _STATEMENT,
        "subject": [
            {
                "name": statement.name,
                "digest": {"sha256": _root([statement.files[name] for name in names])},
            }
        ],
        "predicateType": _PREDICATE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": list(statement.ignored),
            },
            "resources": [
                {"name": name, "algorithm": "sha256", "digest": statement.files[name]}
                for name in names
            ],
        },
    }


def _statement(data: Any) -> Statement:
    if data["_type"] != _STATEMENT or data["predicateType"] != _PREDICATE:
        raise NotABundle(f"its statement is not of {_PREDICATE}")
    (subject,) = data["subject"]
    predicate = data["predicate"]
    how = predicate["serialization"]
    if how["method"] != "files" or how["hash_type"] != "sha256":
        raise NotABundle(
            f"it has {how['hash_type']} of {how['method']}; only sha256 of whole files is verified"
        )
    files: dict[str, str] = {}
    for resource in predicate["resources"]:
        name, digest = resource["name"], resource["digest"]
        if not _is_name(name) or name in files:
            raise NotABundle(f"it names a file {name!r} that it may not name")
        if resource["algorithm"] != "sha256" or not _SHA256.fullmatch(digest):
            raise NotABundle(f"its digest of {name!r} is no sha256")
        files[name] = digest
    if not files or subject["digest"]["sha256"] != _root(list(files.values())):
        raise NotABundle("its digest of all files is not that of the files")
    ignored = tuple(str(path) for path in how.get("ignore_paths", ()))
    return Statement(str(subject["name"]), files, ignored)


def _is_name(name: object) -> bool:
    """Whether this can be a file below the model's folder."""
    if not isinstance(name, str) or _CONTROL.search(name):
        return False
    return name == ALONE or not {"", ".", ".."} & set(name.split("/"))


def _root(digests: Sequence[str]) -> str:
    return hashlib.sha256(b"".join(map(bytes.fromhex, digests))).hexdigest()
