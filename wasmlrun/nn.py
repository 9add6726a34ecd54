"""WASI-NN, the host's side: what the sandbox gives a guest that may use models.

The front door of `wasmlrun.wasi_nn`. A `Session` holds what one guest instance may do and has
done; a binding turns a guest's calls into the session's. There is one binding for core modules
and one for components, and nothing else touches a guest's memory.
"""

from __future__ import annotations

from wasmlrun.wasi_nn.core import (
    LEGACY_MODULE,
    MODULE,
    MODULES,
    CoreBinding,
    is_legacy,
    provides,
)
from wasmlrun.wasi_nn.errors import NnErrno, NnError
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

__all__ = [
    "LEGACY_MODULE",
    "MODULE",
    "MODULES",
    "CoreBinding",
    "GraphPool",
    "NnErrno",
    "NnError",
    "Session",
    "is_legacy",
    "provides",
]
