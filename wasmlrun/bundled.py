"""Files that travel with the package: the default worker and the default model.

In a wheel they lie under `wasmlrun/_bundled`; in a checkout they are where they are made.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_CHECKOUT = _PACKAGE.parent

DEFAULT_WORKER = "mobilenet"
DEFAULT_MODEL = "mobilenet-cifar10"


def worker(name: str) -> Path | None:
    """The bundled worker of this name."""
    return _first(f"workers/{name}.wasm", f"samples/{name}/{name}.wasm")


def model(name: str) -> Path | None:
    """The folder of the bundled model of this name."""
    return _first(f"models/{name}", f"models/{name}")


def _first(installed: str, checkout: str) -> Path | None:
    for path in (_PACKAGE / "_bundled" / installed, _CHECKOUT / checkout):
        if path.exists():
            return path
    return None
