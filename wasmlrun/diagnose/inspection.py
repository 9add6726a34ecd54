"""What `wasmlrun inspect` finds in a file: a program, a manifest or a model."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun import nn
from wasmlrun.binary import module as binary
from wasmlrun.binary.component import MAGIC, NotUnderstood
from wasmlrun.binary.magic import AHEAD
from wasmlrun.binary.module import ComponentFile, CoreModule
from wasmlrun.diagnose import suggest
from wasmlrun.manifest.manifest import Manifest
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.sandbox import ahead, import_origins
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, BadWorker
from wasmlrun.support.limits import MAX_MODEL_BYTES
from wasmlrun.tiny import description

if TYPE_CHECKING:
    from wasmlrun.models.info import ModelInfo


@dataclass(frozen=True, slots=True)
class Group:
    """The imports from one world."""

    world: str
    imports: Sequence[str]
    missing: Sequence[str]
    """Those that nobody provides here."""
    remedy: str | None
    """What to do about them."""


@dataclass
class ProgramFacts:
    """A module or a component."""

    path: Path
    kind: str
    size: int
    groups: list[Group]
    wasi_nn: str | None
    """The generation or version of WASI-NN that it was built for."""
    memories: Sequence[binary.Memory]
    producers: dict[str, list[str]]
    exports: Sequence[str]
    obstacles: list[str] = field(default_factory=list)
    """Why it cannot be run here, apart from missing imports."""
    suggestion: str = ""
    packed: Mapping[str, Any] | None = None
    """What a module with its model inside says of itself."""

    @property
    def missing(self) -> list[str]:
        """Imports that nobody provides here."""
        return [name for group in self.groups for name in group.missing]


@dataclass(frozen=True)
class ManifestFacts:
    """A manifest and what it asks of its surroundings."""

    manifest: Manifest
    size: int
    asked: dict[str, str]
    """Variables of the guest → variables of the host that they are read from."""
    worker: Path
    """The file that it stands beside."""


@dataclass(frozen=True)
class ModelFacts:
    """A model, as the engine and its file describe it."""

    path: Path
    info: ModelInfo
    suggestion: str


@dataclass(frozen=True)
class CompiledFacts:
    """A worker that was compiled ahead."""

    path: Path
    size: int
    about: Mapping[str, Any]
    """What it says of itself, as `wasmlrun.sandbox.ahead` writes it."""
    obstacle: str | None
    """Why it is not run here."""
    packed: Mapping[str, Any] | None
    """What the module inside, with its model, says of itself."""


Facts = ProgramFacts | CompiledFacts | ManifestFacts | ModelFacts


def look_into(path: Path, board: Board) -> Facts:
    """Look into a file; the board hears when the engine reads a model.

    Raises:
        WasmlrunError: it is missing, damaged, or of no kind that is known here.
    """
    try:
        if path.is_dir():
            return _model(path, board)
        code = beneath.read(path, MAX_MODEL_BYTES)
    except FileNotFoundError:
        raise BadFile(f"{path} does not exist", "check the path") from None
    except OSError as e:
        raise BadFile(f"{path} cannot be read: {e.strerror}") from e
    if code.startswith((binary.CORE, MAGIC)):
        return program(path, code)
    if code.startswith(AHEAD):
        return _compiled(path, code)
    if path.suffix == ".toml":
        return _manifest(path, code)
    if code.startswith(b"\0asm"):
        raise BadWorker(
            f"{path} is WebAssembly of a version that is not known here",
            "modules of version 1 and components of version 13 are",
        )
    return _model(path, board)


def program(path: Path, code: bytes) -> ProgramFacts:
    """The facts of a module or component.

    Raises:
        BadWorker: it is cut short or malformed.
    """
    try:
        found = binary.read(code)
    except NotUnderstood as e:
        raise BadWorker(
            f"{path} is WebAssembly that cannot be read: {e}",
            "it is damaged, or newer than what is known here",
        ) from e
    facts = (
        _of_core(path, code, found)
        if isinstance(found, CoreModule)
        else _of_component(path, code, found)
    )
    if description.is_packed(path):
        # it needs no manifest
        facts.packed = description.read(path).about
    else:
        facts.suggestion = suggest.for_program(path, code, facts)
    return facts


def _of_core(path: Path, code: bytes, module: CoreModule) -> ProgramFacts:
    grouped: dict[import_origins.World, list[binary.Import]] = {}
    for item in module.imports:
        grouped.setdefault(import_origins.of_core(item.module, item.name), []).append(item)
    groups = []
    for world, items in grouped.items():
        missing = [
            str(i) for i in items if not import_origins.core_provides(i.module, i.name, i.arity)
        ]
        remedy = world.remedy if missing else None
        groups.append(Group(world.name, [str(i) for i in items], missing, remedy))
    is_program = "_start" in module.exports
    obstacles = []
    if not is_program:
        why = "it exports no _start function"
        if "_initialize" in module.exports:
            why += " (it is a library: a WASI reactor)"
        obstacles.append(f"{why}: build it as a program with main, for target wasm32-wasip1")
    uses_nn = [i for i in module.imports if i.module in nn.MODULES]
    if (uses_nn or is_program) and "memory" not in module.exports:
        obstacles.append('it exports no memory under the name "memory"')
    return ProgramFacts(
        path,
        "core module, a WASI program" if is_program else "core module",
        len(code),
        groups,
        _generation(uses_nn) if uses_nn else None,
        module.memories,
        module.producers,
        module.exports,
        obstacles,
    )


def _generation(imports: Sequence[binary.Import]) -> str:
    """Which of the core ABIs these imports belong to."""
    arities = [(i.module, i.name, i.arity or 0) for i in imports]
    modules = " and ".join(dict.fromkeys(i.module for i in imports))
    if nn.is_legacy(arities):
        return f"{modules}, WAMR's first ABI (12-byte tensors, f32 only)"
    additions = [i.name for i in imports if i.name in import_origins.WASMEDGE_NN]
    if additions:
        return f"{modules} with WasmEdge's additions ({', '.join(additions)})"
    return f"{modules}, the ABI of the wasi-nn crate"


def _of_component(path: Path, code: bytes, found: ComponentFile) -> ProgramFacts:
    grouped: dict[import_origins.World, list[str]] = {}
    for name in found.imports:
        grouped.setdefault(import_origins.of_component(name), []).append(name)
    # one line a world: several remedies of one world are of its several packages
    groups = []
    for world, names in grouped.items():
        missing = [name for name in names if not import_origins.component_provides(name)]
        groups.append(Group(world.name, names, missing, world.remedy if missing else None))
    obstacles = []
    if not any(name.startswith("wasi:cli/run@0.2.") for name in found.exports):
        exported = ", ".join(found.exports) or "nothing"
        obstacles.append(
            f"it exports no wasi:cli/run of WASI 0.2 (it exports {exported}): build it as a program"
        )
    versions = dict.fromkeys(
        name.partition("@")[2] for name in found.imports if name.startswith("wasi:nn/")
    )
    return ProgramFacts(
        path,
        f"component of {found.modules} core module(s)",
        len(code),
        groups,
        f"wasi:nn {', '.join(versions)}" if versions else None,
        found.memories,
        found.producers,
        found.exports,
        obstacles,
    )


def _compiled(path: Path, content: bytes) -> CompiledFacts:
    about = ahead.header(path, content)
    obstacle = None
    try:
        ahead.opened(path, content, fuel="fuel" in about["settings"])
    except BadWorker as e:
        obstacle = e.message
    packed = description.read(path).about if description.is_packed(path) else None
    return CompiledFacts(path, len(content), about, obstacle, packed)


def _manifest(path: Path, code: bytes) -> ManifestFacts:
    manifest = read_manifest(path, allow_outside=True)
    table: dict[str, Any] = tomllib.loads(code.decode())
    asked = {
        name: value[1:]
        for name, value in table.get("vars", {}).items()
        if value.startswith("$") and " " not in value
    }
    return ManifestFacts(manifest, len(code), asked, path.with_suffix(".wasm"))


def _model(path: Path, board: Board) -> ModelFacts:
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.models.info import info_of
    from wasmlrun.support.model_source import read_model

    with board.doing(Stage.MODEL, f"model {path}"):
        info = info_of(read_model(path), str(path), EnginePool())
    return ModelFacts(path, info, suggest.for_model(path, info))
