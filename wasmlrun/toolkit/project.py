"""A worker's project folder: a manifest and a source of one name, and what is built of them."""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path

from wasmlrun.support import beneath, bundled
from wasmlrun.support.errors import BadWorker, UsageFault
from wasmlrun.support.paths import is_file
from wasmlrun.toolkit.languages import LANGUAGES, Language

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# manifests of toolchains
_OTHERS = {"Cargo.toml", "pyproject.toml", "rust-toolchain.toml"}
_NOT_COPIED = {"README.md", "node_modules", "target", "__pycache__"}
_IGNORED = """\
*.wasm
__pycache__/
node_modules/
target/
.zig-cache/
"""
_TEST = """\
#!/bin/sh
# Fails unless the worker says that the picture shows a dog.
set -e
cd "$(dirname "$0")"
wasmlrun build
wasmlrun classify dog.jpg --worker . --expect dog
"""
_README = """\
# {name}

An image classifier in {title} that runs in wasmlrun's sandbox.

- `{source}` is the worker; `{manifest}` says what it may use.
- `wasmlrun build --install` builds it, with your own toolchain if there is one.
- `wasmlrun classify picture.jpg --worker .` runs it with the default model,
  and with your own: `--model model.onnx --labels labels.txt`.
- `wasmlrun check .` tries it with wrong and with unusual input.
- `./test.sh` fails unless it recognises the dog.
"""


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder that was understood."""

    folder: Path
    manifest: Path
    source: Path
    language: Language

    @property
    def worker(self) -> Path:
        """What runs: a script itself, or the module beside the manifest."""
        return self.source if self.language.script else self.manifest.with_suffix(".wasm")


def read_project(folder: Path) -> Project:
    """The project in a folder.

    Raises:
        BadWorker: there is none, or more than one.
    """
    found = []
    for manifest in sorted(folder.glob("*.toml")):
        if manifest.name in _OTHERS:
            continue
        for language in LANGUAGES.values():
            source = manifest.with_suffix(language.suffix)
            if is_file(source):
                _check_inside(source, folder)
                found.append(Project(folder, manifest, source, language))
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(project.source.name for project in found)
        raise BadWorker(f"folder {folder} has several workers: {names}", "name the one you mean")
    endings = " ".join(language.suffix for language in LANGUAGES.values())
    raise BadWorker(
        f"folder {folder} is no worker's project",
        f"a project has NAME.toml and a source NAME with one of the endings {endings}; "
        "make one with: wasmlrun new NAME --lang LANG",
    )


def worker_in(folder: Path) -> Path:
    """The worker to run in a folder: that of its project, or its only module with a manifest.

    Raises:
        BadWorker: there is none, or it is not built.
    """
    modules = [path for path in folder.glob("*.wasm") if is_file(path.with_suffix(".toml"))]
    if len(modules) == 1:
        _check_inside(modules[0], folder)
        return modules[0]
    project = read_project(folder)
    if not is_file(project.worker):
        raise BadWorker(
            f"worker {folder} is not built: {project.worker} does not exist",
            f"wasmlrun build {folder}",
        )
    return project.worker


def _check_inside(path: Path, folder: Path) -> None:
    """What was found in a folder must be a file in it. Raises BadWorker."""
    try:
        beneath.check_file(path, within=folder)
    except OSError as e:
        raise BadWorker(
            f"worker {path} cannot be read: {e.strerror}", "name the worker's file itself"
        ) from e


def new_project(name: str, language: Language, parent: Path) -> Project:
    """Write a fresh project: the sample worker of the language under a name of its own.

    Raises:
        UsageFault: the name is none, or there is something of this name.
    """
    if ".." in parent.parts:
        raise UsageFault(
            f"{parent / name} goes up with ..: a project is written where the path says",
            "name a folder below this one, or give the whole path",
        )
    if not _NAME.fullmatch(name):
        raise UsageFault(f"{name!r} is no name for a project", "use letters, digits, - _ and .")
    folder = parent / name
    if folder.exists():
        raise UsageFault(f"{folder} exists already")
    template = language.template
    if template is None:
        raise BadWorker(f"the package is incomplete: there is no sample worker in {language.title}")

    def not_copied(_: str, names: list[str]) -> set[str]:
        return {n for n in names if n in _NOT_COPIED or n.endswith(".wasm") or n.startswith(".")}

    shutil.copytree(template, folder, ignore=not_copied)
    project = read_project(folder)
    text = project.manifest.read_text()
    before = tomllib.loads(text)["name"]
    project.manifest.write_text(text.replace(f'name = "{before}"', f'name = "{name}"', 1))
    (folder / "README.md").write_text(
        _README.format(
            name=name,
            title=language.title,
            source=project.source.name,
            manifest=project.manifest.name,
        )
    )
    (folder / ".gitignore").write_text(_IGNORED)
    test = folder / "test.sh"
    test.write_text(_TEST)
    test.chmod(0o755)
    picture = bundled.picture()
    if picture is not None:
        shutil.copyfile(picture, folder / "dog.jpg")
    return project
