"""Whether this installation works: versions, devices, cache, the default model, the sandbox."""

from __future__ import annotations

import os
import platform
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wasmlrun.diagnose import machine_code
from wasmlrun.diagnose.escapes import Tried, try_all
from wasmlrun.engines import registry
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine, EngineError, Settings
from wasmlrun.host import Host
from wasmlrun.nn import GraphPool
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.failure import Failure, failure_of
from wasmlrun.support.messages import Messages
from wasmlrun.walls.child import standing


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """The cache's folder; `problems` are sentences, none of them is health."""

    path: str
    entries: int
    bytes: int
    owner: str | None
    mode: str | None
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ModelTest:
    """The default model's answer to a picture."""

    works: bool
    how: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Everything that was looked at."""

    versions: Mapping[str, str]
    devices: Sequence[str]
    cache: CacheHealth
    model: ModelTest
    sandbox: Sequence[Tried]
    walls: Mapping[str, str | None]
    """Each wall around the working process, and why it does not stand; None is that it does."""
    compiled: Sequence[Tried] = ()
    """Whether what was compiled before runs without the compiler."""

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return (
            bool(self.devices)
            and not self.cache.problems
            and self.model.works
            and all(tried.passed for tried in (*self.sandbox, *self.compiled))
        )


def examine(cache: Cache, board: Board) -> Findings:
    """Look at everything; what is wrong is told in the findings, not raised."""
    host = Host(GraphPool(EnginePool(Settings(cache=cache)), board), cache)
    try:
        model = _model_test(host)
        sandbox = try_all()
    except OSError as e:
        what = f"there is no place for temporary files: {e}"
        model, sandbox = ModelTest(False, what), [Tried("set up", False, what)]
    installed = [registry.get(name, Settings()) for name in registry.installed()]
    devices = _devices(installed[0]) if installed else []
    walls = {wall.name: wall.missing for wall in standing()}
    code = list(machine_code.try_all())
    return Findings(versions(installed), devices, cache_health(cache), model, sandbox, walls, code)


def versions(engines: Sequence[Engine]) -> dict[str, str]:
    """What bug reports need."""
    from importlib.metadata import version

    from wasmlrun import __version__

    return {
        "wasmlrun": __version__,
        "wasmtime": version("wasmtime"),
        **{engine.about.name: _version(engine) for engine in engines},
        "python": sys.version.split()[0],
        "platform": platform.platform(),
    }


def cache_health(cache: Cache) -> CacheHealth:
    """Owner and mode of the cache: what others may write to cannot be trusted."""
    root = cache.root
    if root is None:
        return CacheHealth("none", 0, 0, None, None)
    entries, size = len(cache.entries()), cache.size()
    problems = []
    try:
        about = root.stat()
    except FileNotFoundError:
        return CacheHealth(str(root), 0, 0, None, None)  # it comes with the first entry
    except OSError as e:
        return CacheHealth(str(root), 0, 0, None, None, [f"it cannot be looked at: {e.strerror}"])
    if not stat.S_ISDIR(about.st_mode):
        problems.append("it is not a folder")
    if hasattr(os, "getuid") and about.st_uid != os.getuid():
        problems.append("it belongs to another user; nothing is kept in it")
    if about.st_mode & 0o022:
        problems.append("others may write to it: chmod go-w")
    if not os.access(root, os.W_OK | os.X_OK):
        problems.append("it cannot be written to")
    mode = f"{stat.S_IMODE(about.st_mode):04o}"
    return CacheHealth(str(root), entries, size, str(about.st_uid), mode, problems)


def _version(engine: Engine) -> str:
    try:
        return engine.version()
    except (EngineError, OSError) as e:
        return f"cannot be loaded: {e}"


def _devices(engine: Engine) -> Sequence[str]:
    try:
        return engine.devices()
    except (EngineError, OSError):
        return []


@dataclass
class _Kept:
    """A report that keeps what it is told."""

    results: list[ImageResult] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    def prepare(self) -> None:
        """Nothing is shown, so nothing is needed."""

    def result(self, result: ImageResult) -> None:
        self.results.append(result)

    def failure(self, failure: Failure) -> None:
        self.failures.append(failure)


def _model_test(host: Host) -> ModelTest:
    """Classify a drawn picture with the bundled worker and model, in the usual way."""
    import tempfile

    from PIL import Image

    from wasmlrun.pipeline.per_command import classify
    from wasmlrun.pipeline.plan import ClassifyOptions, Wishes, make_plan
    from wasmlrun.support import bundled
    from wasmlrun.vision.source import ImageFile

    kept = _Kept()
    with tempfile.TemporaryDirectory(prefix="wasmlrun-doctor-") as folder:
        path = Path(folder) / "gradient.png"
        Image.linear_gradient("L").convert("RGB").save(path)
        try:
            # the same on every machine, whatever is pulled
            plan = make_plan(Wishes(model=bundled.DEFAULT_MODEL))
            classify([ImageFile(str(path))], plan, ClassifyOptions(), host, kept, Messages(-1))
        except WasmlrunError as error:
            kept.failures.append(failure_of(error))
    if kept.failures:
        return ModelTest(False, kept.failures[0].message)
    result = kept.results[0]
    milliseconds = result.timings_ms["total"]
    return ModelTest(True, f"{len(result.predictions)} predictions in {milliseconds:.0f} ms")
