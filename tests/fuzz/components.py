"""Components that call wasi:nn at random: with handles that are none, pointers past the memory."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from random import Random

import wasmtime
from kit.component_guests import (
    BY_CALLS,
    BY_LIST,
    DATA,
    DIMS,
    DROPS,
    FUNCTIONS,
    LOCALS,
    NAMES,
    R,
    component,
    computed,
    opened,
    tensor,
)
from kit.fakes import FakeEngine

from fuzz.mutate import edge
from fuzz.target import ACCEPTED, REFUSED, Target
from wasmlrun.engines.pool import EnginePool
from wasmlrun.manifest.grant import Grant
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.worker import Runtime, Worker
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

PAGES = 4
LIMITS = Limits(timeout=5, memory=32 << 20, output=1 << 16)
_MODEL = ModelSource(Encoding.ONNX, (b"\x08one",))
_ANSWERED = {"tensor-new": "tensor", "error-new": "i"}
_KEPT = {"load": "graph", "load-by-name": "graph", "open": "context", "get-output": "tensor"}
# what each argument is, where it is to be right
_LIKELY = {
    "tensor-new": (DIMS, 2, 1, DATA, 16),
    "tensor-dims": ("tensor", R),
    "tensor-type": ("tensor",),
    "tensor-data": ("tensor", R),
    "error-new": (4, DATA, 8),
    "error-code": ("i",),
    "error-data": ("i", R),
    "load": (DIMS + 16, 1, 1, 0, R),
    "load-by-name": (NAMES["one"], 3, R),
    "open": ("graph", R),
    "set-input": ("context", NAMES["x"], 1, "tensor", R),
    "compute": ("context", R),
    "get-output": ("context", NAMES["0"], 1, R),
    "compute-list": ("context", 128, 1, R),
    "tensor-drop": ("tensor",),
    "graph-drop": ("graph",),
    "context-drop": ("context",),
    "error-drop": ("i",),
}


class Components(Target[bytes]):
    """A component an input; a wrong handle or pointer ends it, so wrong ones are rare."""

    name = "components"

    def begin(self, folder: Path) -> None:
        """Where the component lies."""
        self._path = folder / "component.wasm"
        self._runtime = Runtime(LIMITS)

    def make(self, random: Random) -> bytes:
        """Up to thirty calls, after a few that make one of everything."""
        version = random.choice((*BY_CALLS, *BY_LIST))
        wrong = random.choice((0.0, 0.0, 0.02, 0.2))
        body = ""
        if random.random() < 0.9:
            body = f"{opened()} {computed(version, tensor(2, 16))}"
        calls = [*FUNCTIONS[version], *DROPS]
        known = random.random() < 0.1  # whether $i is an error, from here on
        for _ in range(random.randrange(30)):
            # what is dropped is gone for all calls that follow
            name = random.choice(calls if random.random() < 0.1 else calls[: -len(DROPS)])
            known = known or name == "error-new"
            if known or not name.startswith("error-"):
                body += _call(name, version, random, wrong)
        data = {
            DIMS: struct.pack("<2I", 1, 4),
            DIMS + 16: struct.pack("<2I", DATA, 4),
            128: struct.pack("<2I", NAMES["x"], 1),
            DATA: bytes(16),
        }
        text = component(
            f"{body} (i32.const 0)",
            version,
            pages=PAGES,
            data=data,
            locals_=f"{LOCALS} (local $number i32)",
        )
        return bytes(wasmtime.wat2wasm(text))

    def feed(self, value: bytes) -> str:
        """Run it over an engine that answers at once."""
        self._path.write_bytes(value)
        pool = GraphPool(EnginePool.of(FakeEngine()), Board())
        session = Session(pool, {"one": _MODEL}, limits=LIMITS)
        try:
            linked = Worker(self._runtime, self._path).linked(Grant(nn=True))
            linked.run(session=session, clock=Clock.after(LIMITS.timeout))
        except WasmlrunError:
            return REFUSED
        finally:
            session.close()
            pool.close()
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As `wasmlrun run` takes it."""
        return {"component.wasm": value}


def _call(name: str, version: str, random: Random, wrong: float) -> str:
    """One call; a number that it answers is kept now and then, as a handle for the next ones."""
    arguments = []
    for likely in _LIKELY[name]:
        if random.random() < wrong:
            number = random.choice((edge(random), random.randrange(20), 65536 * PAGES - 4))
            arguments.append(f"(i32.const {number & 0xFFFFFFFF})")
        elif isinstance(likely, str):
            arguments.append(f"(local.get ${likely})")
        else:
            arguments.append(f"(i32.const {likely})")
    call = f"(call ${name} {' '.join(arguments)})"
    before = after = ""
    if random.random() < 0.95:  # the tensor is given away
        fresh = tensor(2, 16)
        if name == "compute-list":
            before = f"(i32.store (i32.const 136) {fresh})"
        if name == "set-input":
            after = f"(local.set $tensor {fresh})"
    if name in FUNCTIONS[version] and FUNCTIONS[version][name]:
        return f"(local.set ${_ANSWERED.get(name, 'number')} {call})"
    if name in _KEPT:
        # the handle is one of an error where the call failed
        after = f"""(if (i32.or (i32.eqz (i32.load8_u (i32.const {R})))
            (i32.const {int(random.random() < wrong)}))
          (then (local.set ${_KEPT[name]} (i32.load offset=4 (i32.const {R})))))"""
    return f"{before} {call} {after}"
