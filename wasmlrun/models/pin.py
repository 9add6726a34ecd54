"""`models lock`: the digests of the models that a manifest mounts, written into the manifest.

Everything else in the file, comments included, stays as it is: the list is put into the text.
"""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from wasmlrun.manifest.manifest import Manifest
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.support.errors import BadManifest
from wasmlrun.support.model_source import SUFFIXES, ModelSource, read_model
from wasmlrun.support.paths import is_file

TABLE = "features.wasi_nn"


def lock(path: Path, *, allow_outside: bool = False) -> list[tuple[Path, str]]:
    """Write `allowed_models` into a manifest; returns each file with its sha256.

    Raises:
        BadManifest: it cannot be read or written, allows no WASI-NN, or mounts no model.
        BadModel: a model that it mounts cannot be read.
    """
    manifest = read_manifest(path, allow_outside=allow_outside)
    if not manifest.nn.enabled:
        raise BadManifest(
            f"{path} allows no WASI-NN, so there is nothing to lock",
            f'add a table: [{TABLE}] allowed_backends = ["openvino"]',
        )
    files = [file for model in _models(manifest) for file in _files(model, manifest.within)]
    if not files:
        raise BadManifest(
            f"{path} mounts no model",
            "models are looked for in preload_models and in the [[folders]]",
        )
    text = path.read_text(encoding="utf-8")
    changed = with_list(text, [digest for _, digest in files])
    if _parsed(changed) != _expected(text, [digest for _, digest in files]):
        raise BadManifest(
            f"{path} is written in a way that the list cannot be put into",
            f"write a plain [{TABLE}] table, or add the digests that `models info` prints by hand",
        )
    _write(path, changed)
    return files


def with_list(text: str, digests: list[str]) -> str:
    """The manifest's text with `allowed_models` set in its `[features.wasi_nn]` table."""
    entries = "".join(f'  "sha256:{digest}",\n' for digest in dict.fromkeys(digests))
    line = f"allowed_models = [\n{entries}]\n"
    header = re.search(rf"^\[{re.escape(TABLE)}\][^\n]*\n?", text, re.MULTILINE)
    if header is None:
        # the table exists through its list of models alone: it is said before them
        first = re.search(rf"^\[\[{re.escape(TABLE)}\.", text, re.MULTILINE)
        at = first.start() if first else len(text)
        return f"{text[:at]}[{TABLE}]\n{line}\n{text[at:]}"
    following = re.search(r"^\s*\[", text[header.end() :], re.MULTILINE)
    end = header.end() + following.start() if following else len(text)
    table = text[header.end() : end]
    table = re.sub(r"^allowed_models\s*=\s*\[.*?\][^\n]*\n?", "", table, flags=re.DOTALL | re.M)
    start = text[: header.end()]
    return start + ("" if start.endswith("\n") else "\n") + line + table + text[end:]


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _expected(text: str, digests: list[str]) -> dict[str, object]:
    data = tomllib.loads(text)
    nn = data.setdefault("features", {}).setdefault("wasi_nn", {})
    nn["allowed_models"] = [f"sha256:{digest}" for digest in dict.fromkeys(digests)]
    return data


def _models(manifest: Manifest) -> list[Path]:
    """Every model below the folders that a guest sees."""
    found = [preload.folder for preload in manifest.nn.preload_models]
    for mount in manifest.folders:
        found += sorted(
            file
            for file in mount.host.rglob("*")
            if file.suffix.lower() in SUFFIXES and is_file(file)
        )
    return found


def _files(path: Path, within: Path | None) -> list[tuple[Path, str]]:
    source: ModelSource = read_model(path, within=within, allow_outside=within is None)
    names = (
        [path]
        if len(source.parts) == 1
        else [path, path.with_suffix(source.encoding.format.weights or "")]
    )
    return list(zip(names, source.digests, strict=True))


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as e:
        raise BadManifest(f"{path} cannot be written: {e.strerror}") from e
    finally:
        temporary.unlink(missing_ok=True)
