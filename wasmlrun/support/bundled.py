"""Files that travel with the package: the default worker and the default model.

In a wheel they lie under `wasmlrun/_bundled`; in a checkout they are where they are made.
"""

from __future__ import annotations

from pathlib import Path

from wasmlrun.support.paths import exists

_PACKAGE = Path(__file__).parents[1]
_CHECKOUT = _PACKAGE.parent

DEFAULT_WORKER = "mobilenet"
INFER_WORKER = "infer"
"""The one that gives a model all inputs and fetches all outputs."""
DEFAULT_MODEL = "mobilenet-cifar10"
REAL_MODEL = "efficientnet-lite0"
"""The model of the catalogue that is named to those who use the default one."""


def worker(name: str) -> Path | None:
    """The bundled worker of this name."""
    if name not in (DEFAULT_WORKER, INFER_WORKER):
        return None
    return _first(f"workers/{name}.wasm", f"samples/{name}/{name}.wasm")


def model(name: str) -> Path | None:
    """The folder of the bundled model of this name."""
    if name != DEFAULT_MODEL:
        return None
    return _first(f"models/{name}", f"models/{name}")


def sample(language: str) -> Path | None:
    """The folder of the sample worker in this language."""
    return _first(f"samples/{language}", f"samples/workers/{language}")


def picture() -> Path | None:
    """The picture of a dog that new projects are tried with."""
    return _first("pictures/dog.jpg", "samples/dog.jpg")


def wit() -> Path | None:
    """The folder of the interfaces that components of workers are built against."""
    return _first("wit", "samples/wit")


def _first(installed: str, checkout: str) -> Path | None:
    for path in (_PACKAGE / "_bundled" / installed, _CHECKOUT / checkout):
        if exists(path):
            return path
    return None
