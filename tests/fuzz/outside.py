"""What else comes from outside: archives, signatures, a child's messages, text, paths."""

from __future__ import annotations

import base64
import bz2
import gzip
import hashlib
import io
import json
import lzma
import os
import re
import socket
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

from fuzz.mutate import edge, mutated, mutated_text
from fuzz.target import ACCEPTED, REFUSED, Broken, Target
from wasmlrun.batch.sources import archived
from wasmlrun.models.archive import unpack
from wasmlrun.report.renderers.json_lines import safe
from wasmlrun.supervisor.channel import Channel, Closed, Malformed
from wasmlrun.supervisor.outbox import MOST, Inbox
from wasmlrun.support import beneath
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.failure import error_from
from wasmlrun.support.messages import Messages
from wasmlrun.trust import bundle

_NAMES = ("model.onnx", "../model.onnx", "/model.onnx", "a/b.jpg", "b.jpg", "é.png", "a" * 200)


_PACKED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}


class Archives(Target[bytes]):
    """Wheels, and plain and compressed tar archives: a model out of them, and their pictures."""

    name = "archives"

    def begin(self, folder: Path) -> None:
        """Where the archive lies."""
        self._path = folder / "archive"

    def make(self, random: Random) -> bytes:
        """An archive of a few members, mutated; a compressed tar mostly inside."""
        out = io.BytesIO()
        kind = random.choice(("zip", "zip", "tar", "tar", "tar", "gz", "bz2", "xz"))
        if kind == "zip":
            with zipfile.ZipFile(out, "w", random.choice((0, 8, 12, 14))) as made:
                for _ in range(random.randrange(4)):
                    name = random.choice(_NAMES)
                    made.writestr(zipfile.ZipInfo(name), bytes(random.choice((0, 9, 5000))))
            return mutated(out.getvalue(), random)
        form = random.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
        with tarfile.open(fileobj=out, mode="w", format=form) as tar:
            for _ in range(random.randrange(5)):
                about = tarfile.TarInfo(random.choice(_NAMES[:-1]))
                about.type = random.choice((b"0", b"0", b"0", b"1", b"2", b"3", b"5", b"6", b"S"))
                about.linkname = random.choice(_NAMES[:-1])
                about.size = random.choice((0, 9, 5000)) if about.isreg() else 0
                tar.addfile(about, io.BytesIO(bytes(about.size)))
        data = out.getvalue()
        if random.random() < 0.8:
            data = mutated(data[:20_000], random)
        if kind == "tar":
            return data
        packed = _PACKED[kind](data)
        return mutated(packed, random) if random.random() < 0.3 else packed

    def feed(self, value: bytes) -> str:
        """Take a model out of it, and every picture."""
        self._path.write_bytes(value)
        got = REFUSED
        try:
            unpack(self._path, "model.onnx", None, io.BytesIO())
            got = ACCEPTED
        except WasmlrunError:
            pass
        try:
            for item in archived.pictures(self._path, "archive"):
                if "\n" in item.name:
                    raise Broken("a name of two lines")
            return ACCEPTED
        except WasmlrunError:
            return got

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As it was."""
        return {"archive": value}


_STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "m", "digest": {"sha256": hashlib.sha256(bytes(32)).hexdigest()}}],
    "predicateType": "https://model_signing/signature/v1.0",
    "predicate": {
        "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
        "resources": [{"name": "a", "digest": "0" * 64, "algorithm": "sha256"}],
    },
}


class Signatures(Target[bytes]):
    """Signature files, whose statement is mutated too."""

    name = "signatures"

    def make(self, random: Random) -> bytes:
        """The form, with a mutated statement, or mutated as a whole."""
        statement = json.dumps(_STATEMENT)
        if random.random() < 0.7:
            statement = mutated_text(statement, random)
        payload = base64.b64encode(statement.encode(errors="surrogatepass")).decode()
        text = json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
                "verificationMaterial": {"publicKey": {"hint": "0" * 64}, "tlogEntries": []},
                "dsseEnvelope": {
                    "payload": payload,
                    "payloadType": "application/vnd.in-toto+json",
                    "signatures": [{"sig": base64.b64encode(bytes(64)).decode(), "keyid": ""}],
                },
            }
        )
        if random.random() < 0.4:
            text = mutated_text(text, random)
        return text.encode(errors="surrogatepass")

    def feed(self, value: bytes) -> str:
        """Take it apart; its names must be of files below the model."""
        try:
            statement = bundle.read(value).statement()
        except bundle.NotABundle:
            return REFUSED
        for name in statement.files:
            if name.startswith("/") or ".." in name.split("/"):
                raise Broken(f"it is of {name}")
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As beside a model."""
        return {"model.sig": value}


class FromChild(Target[bytes]):
    """What a child that was taken over may send to its parent."""

    name = "from-child"

    def make(self, random: Random) -> bytes:
        """A message of a channel, or an answer of a command's child, mutated."""
        head = random.choice(('{"error": {"code": "limit", "message": "m"}}', '{"a": [1]}', "[]"))
        head = mutated_text(head, random) if random.random() < 0.7 else head
        text = head.encode(errors="surrogatepass")
        if random.random() < 0.5:
            sizes = [random.choice((0, 3, edge(random) & 0xFFFFFFFFFFFFFFFF)) for _ in range(2)]
            data = struct.pack("<II2Q", len(text), 2, *sizes) + text + bytes(random.randrange(9))
        else:
            data = struct.pack("<iII", 3, len(text), 4) + text + b"said"
        return mutated(data, random) if random.random() < 0.6 else data

    def feed(self, value: bytes) -> str:
        """Receive it as both ends do."""
        self._as_an_answer(value)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            theirs.sendall(value[:60_000])
            theirs.shutdown(socket.SHUT_WR)
            try:
                message = Channel(ours).receive(1 << 20)
            except (Malformed, Closed):
                return REFUSED
        if "error" in message.head and not isinstance(error_from(message.head["error"]), Exception):
            raise Broken("an error that cannot be raised")
        return ACCEPTED

    def _as_an_answer(self, value: bytes) -> None:
        inbox = Inbox()
        outbox = os.dup(inbox._child_letters)
        inbox.for_parent()
        try:
            os.write(outbox, value[:60_000])
            os.close(outbox)
            while not inbox.ended and inbox.receive():
                if inbox.writing is not None and len(inbox._waiting[0][1]) > MOST:
                    raise Broken("an answer that is too long")
                inbox._waiting.clear()
        finally:
            inbox.close()

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """The bytes."""
        return {"sent": value}


# what moves a cursor, changes a title, turns writing round, or begins another line
_UNWANTED = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_PIECES = (
    *("error: ", "hint: ", "\n", "\r", "\x1b[2J", "\x1b]0;title\x07", "\x9b31m", "\u202e"),
    *("\u2028", "\u2066", "\udc80", "a", "é", " ", "\t", "\0", "\x85", "\ufeff", "😀"),
    "\U000e0041",
)


class Terminal(Target[str]):
    """Names and texts of others, in messages, in what a guest says, and in JSON."""

    name = "terminal"

    def make(self, random: Random) -> str:
        """A few pieces that a terminal may take for more than letters."""
        count = random.randrange(1, 30)
        return "".join(
            random.choice(_PIECES) if random.random() < 0.8 else chr(random.randrange(0x3000))
            for _ in range(count)
        )

    def feed(self, value: str) -> str:
        """Tell it in every way there is."""
        out = io.StringIO()
        messages = Messages(1, out)
        messages.error(WasmlrunErrorOf(value))
        # a traceback stands in
        lines = [line for line in out.getvalue().split("\n") if not line.startswith("  ")]
        if [line.partition(" ")[0] for line in lines] != ["error:", "hint:", ""]:
            raise Broken(f"an error of {len(lines)} lines")
        messages.warn(value)
        for tell in (messages.info, messages.text, messages.detail):
            tell(value)
        said = io.StringIO()
        with Messages(0, said).guest() as guest:
            guest(value.encode("utf-8", "surrogateescape" if _fits(value) else "replace"))
        if any(line and not line.startswith("worker: ") for line in said.getvalue().split("\n")):
            raise Broken("a guest's line without its mark")
        for text in (out.getvalue(), said.getvalue(), safe(json.dumps(value, ensure_ascii=False))):
            found = _UNWANTED.search(text)
            if found is not None:
                raise Broken(f"{found[0]!r} reaches the terminal")
        return ACCEPTED

    def read(self, data: bytes) -> str:
        """Lone surrogates may come as such, or as bytes that are no text."""
        try:
            return data.decode(errors="surrogatepass")
        except UnicodeDecodeError:
            return data.decode(errors="surrogateescape")

    def written(self, value: str) -> bytes:
        """As it is said."""
        return value.encode(errors="surrogatepass")

    def files(self, value: str) -> Mapping[str, bytes]:
        """The text."""
        return {"text": self.written(value)}


def _fits(text: str) -> bool:
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


class WasmlrunErrorOf(WasmlrunError):
    """An error with a stranger's words in message and hint."""

    code, exit_code = "usage", 2

    def __init__(self, text: str) -> None:
        super().__init__(f"file {text} is missing", f"look at {text}")


_PARTS = (
    *("a", "b", "..", ".", "", "link", "out", "loop", "file", "pipe", "deep", "\x00", "é"),
    "a" * 300,
)


class Paths(Target[str]):
    """Paths in a manifest, opened beneath its folder, with and without the kernel's help."""

    name = "paths"

    def begin(self, folder: Path) -> None:
        """A folder with links in, out and round, a pipe, and a secret beside it."""
        self._within = folder / "paths" / "project"
        (self._within / "a" / "b").mkdir(parents=True, exist_ok=True)
        for name in ("file", "a/file", "a/b/file"):
            (self._within / name).write_text("inside")
        (self._within.parent / "file").write_text("secret")
        for name, to in (("link", "a"), ("out", ".."), ("loop", "loop"), ("a/link", "../a/b")):
            if not (self._within / name).is_symlink():
                (self._within / name).symlink_to(to)
        if not (self._within / "pipe").exists():
            os.mkfifo(self._within / "pipe")

    def make(self, random: Random) -> str:
        """Up to twelve parts."""
        return "/".join(random.choice(_PARTS) for _ in range(random.randrange(1, 12)))

    def feed(self, value: str) -> str:
        """Both ways come to the same, and neither reads the secret."""
        found = {self._read(value), self._read(value, by_steps=True)}
        if b"secret" in found:
            raise Broken("the secret was read")
        if len(found) > 1:
            raise Broken(f"the kernel and the steps differ: {found}")
        return REFUSED if None in found else ACCEPTED

    def _read(self, value: str, *, by_steps: bool = False) -> bytes | None:
        before = beneath._by_the_kernel
        if by_steps:
            beneath._by_the_kernel = lambda root, inner, flags: None
        try:
            return beneath.read(self._within / value.lstrip("/"), 1000, within=self._within)
        except (OSError, ValueError):
            return None
        finally:
            beneath._by_the_kernel = before

    def read(self, data: bytes) -> str:
        """Lone surrogates may come as such, or as bytes that are no text."""
        try:
            return data.decode(errors="surrogatepass")
        except UnicodeDecodeError:
            return data.decode(errors="surrogateescape")

    def written(self, value: str) -> bytes:
        """As a name."""
        return value.encode(errors="surrogatepass")

    def files(self, value: str) -> Mapping[str, bytes]:
        """The path."""
        return {"path": self.written(value)}
