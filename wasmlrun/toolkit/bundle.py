"""A worker, its model and wasmlrun itself as one file that Python runs.

The file is a zip archive with `__main__.py`. When it first runs it unpacks itself into the user's
cache folder, because engines and sandboxes want files; later runs find that folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import wasmlrun
from wasmlrun.engines import registry
from wasmlrun.manifest.manifest import Classify
from wasmlrun.support.errors import BadWorker
from wasmlrun.support.model_source import Encoding, ModelSource

_SHEBANG = b"#!/usr/bin/env python3\n"
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_LEFT_OUT = ("__pycache__", "_bundled")
# what every classification needs, and what only those with an engine need besides it
_ALWAYS = ("wasmtime", "pillow", "click", "rich", "platformdirs")
_WITH_ENGINE = ("numpy",)
_MODULES = {"pillow": "PIL"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What goes into a bundle."""

    worker: Path
    model: ModelSource | None
    settings: Classify
    labels: Sequence[str] | None
    """Of the model; a worker that has its model inside brings its own."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """What came of it."""

    output: Path
    size: int
    needs: Sequence[str]
    """Requirements, as pip takes them."""


def bundle(contents: Contents, output: Path) -> Bundle:
    """Write the file; it gets its name only when it is complete.

    Raises:
        BadWorker: it cannot be written, or the worker not be read.
    """
    files = dict(_package())
    arguments = ["--worker", "worker/worker.wasm"]
    try:
        files["worker/worker.wasm"] = contents.worker.read_bytes()
    except OSError as e:
        raise BadWorker(f"worker {contents.worker} cannot be read: {e.strerror}") from e
    if contents.model is not None:
        row = contents.model.encoding.format
        suffix = row.suffixes[0]
        files[f"worker/model{suffix}"] = contents.model.parts[0]
        if row.weights:
            files[f"worker/model{row.weights}"] = contents.model.parts[1]
        files["worker/model.toml"] = _settings(contents.settings).encode()
        arguments += ["--model", f"worker/model{suffix}"]
    if contents.labels is not None:
        files["worker/labels.txt"] = "".join(f"{line}\n" for line in contents.labels).encode()
        arguments += ["--labels", "worker/labels.txt"]
    needs = requirements(contents.model.encoding if contents.model is not None else None)
    digest = _digest(files)
    main = (Path(__file__).with_name("bundle_main.py.txt")).read_text(encoding="utf-8")
    about = {"digest": digest, "arguments": arguments, "needs": needs}
    main = main.replace("@ABOUT@", json.dumps(json.dumps(about)))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name, data in [("__main__.py", main.encode()), *sorted(files.items())]:
            entry = zipfile.ZipInfo(name, _FIXED_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            made.writestr(entry, data)
    content = _SHEBANG + archive.getvalue()
    _write(output, content)
    return Bundle(output, len(content), [needed for _, needed in needs])


def requirements(encoding: Encoding | None) -> list[tuple[str, str]]:
    """(module, requirement) of each package that a bundle needs, by wasmlrun's own versions.

    With a model of an encoding, that of the engine which reads it is one of them.
    """
    import re
    from importlib.metadata import requires

    found = {}
    for line in requires("wasmlrun") or ():
        name = re.match(r"[A-Za-z0-9._-]+", line)
        if name is not None and "extra ==" not in line:
            found[name[0].lower()] = line.partition(";")[0].strip()
    modules = {name: _MODULES.get(name, name) for name in _ALWAYS}
    if encoding is not None:
        engine = registry.readers(encoding)[0]
        modules |= {name: name for name in _WITH_ENGINE} | {engine.distribution: engine.module}
    return [(module, found.get(name, name)) for name, module in modules.items()]


def _package() -> Iterator[tuple[str, bytes]]:
    """The files of wasmlrun itself, by their names in the archive."""
    root = Path(wasmlrun.__file__).parent
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if path.is_file() and not set(inside.parts) & set(_LEFT_OUT):
            yield f"site/wasmlrun/{inside.as_posix()}", path.read_bytes()


def _digest(files: dict[str, bytes]) -> str:
    made = hashlib.sha256()
    for name, data in sorted(files.items()):
        made.update(f"{name}\0{len(data)}\0".encode() + data)
    return made.hexdigest()


def _settings(settings: Classify) -> str:
    """`[classify]` as a manifest says it, but for the files."""
    lines = ['name = "model"', 'version = "1"', "", "[classify]"]
    values = {
        "size": list(settings.size) if settings.size else None,
        "resize": settings.resize,
        "layout": settings.layout,
        "dtype": settings.dtype,
        "color": settings.color,
        "mean": list(settings.mean) if settings.mean else None,
        "scale": list(settings.scale) if settings.scale else None,
        "scores": settings.scores,
        "label_offset": settings.label_offset,
    }
    # numbers, lists of numbers and plain words are the same in JSON and TOML
    lines += [f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None]
    return "\n".join(lines) + "\n"


def _write(path: Path, content: bytes) -> None:
    made = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        made.write_bytes(content)
        made.chmod(0o755)
        made.replace(path)
    except OSError as e:
        raise BadWorker(f"{path} cannot be written: {e.strerror or e}") from e
    finally:
        made.unlink(missing_ok=True)
