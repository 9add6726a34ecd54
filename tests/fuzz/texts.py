"""Manifests of arbitrary TOML, and label files of arbitrary bytes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from random import Random

from fuzz.mutate import edge, mutated, mutated_text
from fuzz.target import ACCEPTED, REFUSED, Broken, Target
from wasmlrun.manifest.grant import from_manifest
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.errors import BadLabels, BadManifest
from wasmlrun.vision.labels import rank, read_labels

BASE = """name = "worker"
version = "1"

[vars]
SIZE = "224"
HOST = "$FUZZ_SECRET"

[limits]
timeout = 10
memory = 67108864
fuel = 1000000
graphs = 3

[features.wasi_nn]
allowed_backends = ["openvino"]
input_layout = "nhwc"
allowed_models = ["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]

[[features.wasi_nn.preload_models]]
backend = "openvino"
provider = { type = "local", dir = "./models/one" }

[[folders]]
from = "./data"
to = "/data"
writable = false

[classify]
protocol = "tensor"
model = "/data/model.onnx"
labels = "labels.txt"
size = [224, 224]
resize = "crop"
layout = "NHWC"
dtype = "u8"
color = "RGB"
mean = [123.7, 116.3, 103.5]
scale = 58.0
scores = "auto"
label_offset = -1
unsure_below = 0.5
"""
_TABLES = ("", "vars", "limits", "features", "features.wasi_nn", "classify", "data", "folders")
# fmt: off
_KEYS = [
    "name", "version", "vars", "limits", "features", "wasi_nn", "http_requests", "folders",
    "classify", "data", "from", "to", "writable", "allowed_backends", "preload_models",
    "input_layout", "allowed_models", "provider", "backend", "dir", "type", "protocol", "model",
    "labels", "size", "resize", "layout", "dtype", "color", "mean", "scale", "scores",
    "label_offset", "unsure_below", "timeout", "fuel", "memory", "table", "instances", "model_size",
    "graphs", "contexts", "tensor_bytes", "output", "x",
]
# fmt: on


class Manifests(Target[bytes]):
    """Manifest files: the base one mutated, or tables and values that fit nowhere."""

    name = "manifests"

    def begin(self, folder: Path) -> None:
        """Folders that the base manifest names."""
        self._folder = folder / "manifest"
        for name in ("data", "models/one"):
            (self._folder / name).mkdir(parents=True, exist_ok=True)
        self._path = self._folder / "worker.toml"

    def make(self, random: Random) -> bytes:
        """A manifest, valid TOML or not."""
        kind = random.random()
        if kind < 0.5:
            return mutated_text(BASE, random).encode(errors="surrogatepass")
        if kind < 0.6:
            return mutated(BASE.encode(), random)
        if kind < 0.65:
            deep = random.choice((10, 1000, 100_000))
            return b"x = " + random.choice((b"[", b"{a=")) * deep
        lines = ['version = "1"'] if random.random() < 0.9 else []
        for _ in range(random.randint(1, 8)):
            if random.random() < 0.4:
                brackets = random.choice(("[{}]", "[[{}]]"))
                lines.append(brackets.format(random.choice(_TABLES[1:])))
            lines.append(f"{random.choice(_KEYS)} = {_value(random)}")
        return "\n".join(lines).encode(errors="surrogatepass")

    def feed(self, value: bytes) -> str:
        """Read it and look at what it grants."""
        self._path.write_bytes(value)
        try:
            grant = from_manifest(read_manifest(self._path, {"FUZZ_SECRET": "s"}))
        except BadManifest:
            return REFUSED
        for mount in grant.mounts:
            if not Path(os.path.realpath(mount.host)).is_relative_to(self._folder.resolve()):
                raise Broken(f"it mounts {mount.host}")
        if any("\0" in name + text for name, text in grant.environ.items()):
            raise Broken("a variable with a NUL")
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """Beside a worker of the same name."""
        return {"worker.toml": value}


def _value(random: Random, depth: int = 0) -> str:
    kind = random.randrange(12 if depth < 3 else 8)
    if kind == 0:
        return str(edge(random) * random.choice((1, -1)))
    if kind == 1:
        return random.choice(("1.5", "nan", "inf", "-inf", "1e400", "-0.0", "0x7f", "1_000"))
    if kind == 2:
        return random.choice(("true", "false", "1979-05-27T07:32:00Z", "07:32:00", "1979-05-27"))
    if kind == 3:
        return '"' + random.choice(("tensor", "nhwc", "openvino", "auto", "1", "u8", "RGB")) + '"'
    if kind == 4:
        strange = ("..", "/", "./data", "../..", "\\u0000", "\\uFFFF", "a" * 300, "a/" * 3000)
        return (
            '"'
            + random.choice((*strange, "~", "$HOME", "$", "$\\u0001", "%s", "\\U0010FFFF"))
            + '"'
        )
    if kind == 5:
        return '"' + "".join(chr(random.randrange(0x20, 0x3000)) for _ in range(9)) + '"'
    if kind == 6:
        return random.choice("123456789") * random.choice((20, 400, 5000))
    if kind == 7:
        return random.choice(("[]", "{}", '""', "[[]]", "''"))
    if kind < 10:
        return "[" + ", ".join(_value(random, depth + 1) for _ in range(random.randrange(5))) + "]"
    pairs = ", ".join(
        f"{key} = {_value(random, depth + 1)}" for key in random.sample(_KEYS, random.randint(1, 3))
    )
    return "{ " + pairs + " }"


class Labels(Target[bytes]):
    """Label files."""

    name = "labels"

    def begin(self, folder: Path) -> None:
        """Where the file goes."""
        self._path = folder / "labels.txt"

    def make(self, random: Random) -> bytes:
        """Lines of all kinds in all encodings; now and then a million of them."""
        kind = random.random()
        if kind < 0.002:
            return b"\n".join(b"%d label" % n for n in range(1_000_000))
        count = random.choice((0, 1, 5, 1000))
        start = random.choice((0, 0, 1, 1 << 64))
        form = random.choice(
            ("{n} l{n}", "{n}: l", "l{n}", "{n},é", "", " ", "\t{n}", "{n}" * 3000)
        )
        end = random.choice(("\n", "\r\n", "\r", "\u2028", "\0"))
        if len(form) > 100:  # numbers of thousands of digits
            count = min(count, 5)
        text = end.join(form.format(n=n) for n in range(start, start + count))
        encoding = random.choice(("utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "cp500"))
        data = text.encode(encoding, errors="replace")
        return mutated(data, random) if kind < 0.6 else data

    def feed(self, value: bytes) -> str:
        """Read it and rank scores with it."""
        self._path.write_bytes(value)
        try:
            labels = read_labels(self._path)
            rank([0.1] * 5, labels, None, 5)
        except BadLabels:
            return REFUSED
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As `--labels` takes it."""
        return {"labels.txt": value}
