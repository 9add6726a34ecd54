"""Inference engines behind one seam.

An engine loads a graph from model files, a graph opens execution contexts, a context takes
inputs, computes and gives outputs. Engines see tensors and files, never guest memory; what
calls them (`wasmlrun.wasi_nn.session`) sees this Protocol, never an engine.

An engine is a package with two names in its `__init__`: `ABOUT`, what can be told of it without
loading it, and `create`, which makes it. `docs/engines.md` says how to add one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from wasmlrun.support.cache import Cache
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.records import NOTHING, Record
from wasmlrun.support.tensor import DType, Tensor


class EngineError(Exception):
    """The engine refused a model or a computation; the message is for people."""


class OutOfMemoryError(EngineError):
    """The engine wanted more memory than the process may have."""


class NoEngineError(EngineError):
    """There is no engine for this: none of the name, none that reads it, or not installed."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
        """What the user can do."""


class About(Record):
    """What can be told of an engine without loading it."""

    name: str
    """As in `--backend` and a manifest's `allowed_backends`; its folder's name, if it has one."""
    description: str
    """One line."""
    module: str
    """The Python package without which there is no such engine, `openvino`."""
    distribution: str
    """What pip calls that package, and whose version is told."""
    encodings: tuple[Encoding, ...]
    """What it reads."""
    extra: str | None = None
    """The extra of this distribution that installs it; None where that is `distribution`."""
    priority: int = 0
    """Of several engines that read a model, the one with the highest is taken."""
    precisions: tuple[str, ...] = ("f32",)
    """Arithmetic that it can be told to compute in; f32 is one of them."""
    devices: Mapping[str, str] = NOTHING
    """What the names that `devices` may give stand for, CPU among them."""

    @property
    def install(self) -> str:
        """The command that installs it."""
        what = self.distribution if self.extra is None else f"'wasmlrun[{self.extra}]'"
        return f"pip install {what}"


class Settings(Record):
    """What every engine of a command is told."""

    precision: str = "f32"
    """The arithmetic of inference; one of `About.precisions`."""
    cache: Cache = Cache(None)
    """Where an engine may keep what it makes of a model."""
    streams: int = 1
    """How many computations will run at the same time, each on its share of the cores."""
    threads: int | None = None
    """How many threads one computation may have; None is as many as the cores it may use."""


class Port(Record):
    """One input or output of a graph. In `shape`, -1 is a size that is free."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    declared: bool = True
    """Whether the model says shape and type. If not, both are guesses, an empty shape stands for
    any, and the engine says what does not fit.
    """


class Context(Protocol):
    """An execution context: the inputs and outputs of one computation at a time."""

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Give input `index` a tensor of its port's rank and type. Raises EngineError.

        The tensor's bytes stay as they are until the next computation is over.
        """

    def compute(self) -> None:
        """Run the graph on the inputs. Raises EngineError."""

    def output(self, index: int) -> Tensor:
        """Output `index` of the last computation, copied. Raises EngineError."""

    def close(self) -> None:
        """Free what the engine holds for this context; a second time does nothing."""


class Graph(Protocol):
    """A model that is ready to run on a device. Its contexts may compute at the same time."""

    @property
    def inputs(self) -> Sequence[Port]:
        """In the model's order."""

    @property
    def outputs(self) -> Sequence[Port]:
        """In the model's order."""

    def open(self) -> Context:
        """A new execution context. Raises EngineError, also when the graph was closed."""

    def close(self) -> None:
        """Free what the engine holds for this graph; contexts that are open stay usable."""


class Engine(Protocol):
    """An inference engine. Making one costs nothing; what it needs it loads when it is used.

    Several threads may use it at once.
    """

    @property
    def about(self) -> About:
        """The `ABOUT` of its package."""

    def prepare(self) -> None:
        """Load what the first model will need, ahead of it; what goes wrong is told then."""

    def version(self) -> str:
        """The engine's own version. Raises EngineError."""

    def devices(self) -> Sequence[str]:
        """Devices found on this machine: `CPU` and others of `About.devices`, `GPU.1` for the
        second of a kind. Raises EngineError.
        """

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> Graph:
        """Read a model and make it ready for `device`. Raises EngineError.

        `underway` is called when only the engine's own work is left, which leaves Python to
        other threads.
        """


class EnginePackage(Protocol):
    """What an engine's package, or the object that an entry point names, has."""

    @property
    def ABOUT(self) -> About:  # noqa: N802 - a constant of the package
        """What can be told of the engine."""

    def create(self, settings: Settings) -> Engine:
        """The engine, with these settings; nothing is loaded yet."""
