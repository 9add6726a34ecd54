"""Building a worker's project with the toolchain of its language."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from wasmlrun.toolkit.languages import Compiled
from wasmlrun.toolkit.project import Project
from wasmlrun.toolkit.toolchains.installer import BuildFailed, Installer

Builder = Callable[[Path, Path, Installer], str]


@dataclass(frozen=True, slots=True)
class Built:
    """A worker that was built."""

    worker: Path
    size: int
    seconds: float
    toolchain: str
    imports: dict[str, list[str]]
    """Names of the functions it needs, by module."""


def build(project: Project, installer: Installer) -> Built:
    """Build a project. The module gets its name only when the compiler is through.

    For a script its interpreter is prepared and the script is read; nothing is compiled.

    Raises:
        ToolMissing: there is no toolchain and none may be installed.
        BuildFailed: the compiler found errors, which it has shown.
    """
    started = time.monotonic()
    worker = project.worker
    language = project.language
    if not isinstance(language, Compiled):
        from wasmlrun.toolkit.interpreters import runtime_for, script_text
        from wasmlrun.toolkit.interpreters.build import prepare

        runtime = runtime_for(worker)
        assert runtime is not None
        script_text(worker)
        module, toolchain = prepare(runtime, installer), runtime.what
    else:
        builder = builder_of(language)
        module = worker
        made = worker.with_name(f".{os.getpid()}-{worker.name}").absolute()
        try:
            toolchain = builder(project.source.absolute(), made, installer)
            # an executable file is what linkers make; WebAssembly needs no such permission
            made.chmod(0o644)
            made.replace(worker)
        except OSError as e:
            raise BuildFailed(f"{worker} was not built: {e.strerror or e}") from e
        finally:
            made.unlink(missing_ok=True)
    seconds = time.monotonic() - started
    return Built(worker, module.stat().st_size, seconds, toolchain, imports_of(module))


def builder_of(language: Compiled) -> Builder:
    """What compiles a language; its toolchain is imported when it is used."""
    toolchain = import_module(f"wasmlrun.toolkit.toolchains.{language.toolchain}")
    builder: Builder = getattr(toolchain, f"build_{language.name}")
    return builder


def imports_of(module: Path) -> dict[str, list[str]]:
    """What a module or component imports, by module or interface."""
    from wasmlrun.binary import module as binary

    found: dict[str, list[str]] = {}
    parsed = binary.read(module.read_bytes())
    if isinstance(parsed, binary.CoreModule):
        for item in parsed.imports:
            found.setdefault(item.module, []).append(item.name)
    else:
        for name in parsed.imports:
            found.setdefault(str(name), [])
    return found


def sources_changed(project: Project, since: float) -> bool:
    """Whether a file of the project, other than what is built, is newer than `since`."""
    for folder, names, files in os.walk(project.folder):
        names[:] = [n for n in names if n not in ("node_modules", "target") and n[0] != "."]
        for name in files:
            path = Path(folder, name)
            if path.suffix == ".wasm" or name.startswith("."):
                continue
            if path.stat().st_mtime > since:
                return True
    return False
