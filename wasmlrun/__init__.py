"""wasmlrun: run machine-learning workers in WebAssembly, sandboxed, with WASI-NN.

    import wasmlrun

    with wasmlrun.Worker(model="mobilenet_v2.tflite", labels="labels.txt") as worker:
        print(worker.classify("photo.jpg").predictions[0].label)

docs/python.md describes it. Nothing is imported before it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasmlrun.api.program import Program
    from wasmlrun.api.result import Completed, Result
    from wasmlrun.api.worker import Worker
    from wasmlrun.support.errors import (
        BadFile,
        BadImage,
        BadLabels,
        BadManifest,
        BadModel,
        BadWorker,
        CannotWrite,
        DownloadFailed,
        Killed,
        LimitExceeded,
        ShelfFailed,
        SystemRefused,
        UsageFault,
        WasmlrunError,
        WorkerFailed,
    )
    from wasmlrun.support.limits import Limits
    from wasmlrun.vision.labels import Prediction

__version__ = "0.1.0"
__all__ = [
    "BadFile",
    "BadImage",
    "BadLabels",
    "BadManifest",
    "BadModel",
    "BadWorker",
    "CannotWrite",
    "Completed",
    "DownloadFailed",
    "Killed",
    "LimitExceeded",
    "Limits",
    "Prediction",
    "Program",
    "Result",
    "ShelfFailed",
    "SystemRefused",
    "UsageFault",
    "WasmlrunError",
    "Worker",
    "WorkerFailed",
    "__version__",
]

_HOMES = {
    "Completed": "wasmlrun.api.result",
    "Limits": "wasmlrun.support.limits",
    "Prediction": "wasmlrun.vision.labels",
    "Program": "wasmlrun.api.program",
    "Result": "wasmlrun.api.result",
    "Worker": "wasmlrun.api.worker",
}
_ERRORS = "wasmlrun.support.errors"


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES.get(name, _ERRORS)), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
