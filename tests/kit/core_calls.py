"""The usual calls of a core module's guest, and where its script keeps things."""

from __future__ import annotations

from kit.core_guests import At, Call, f32s, record, u32s
from kit.fakes import FakeEngine
from wasmlrun.engines.protocol import Port
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType

# where the scripts keep things
NAME, GRAPH, CONTEXT, WRITTEN, DIMS, TENSOR, BUFFER, DATA = 16, 32, 36, 40, 64, 128, 1024, 4096
PARTS = 256
ODD = 0xDEADBEEF
ONNX = b"\x08\x08onnx"

IDENTITY = ModelSource(Encoding.ONNX, (b"\x08only the fake reads this",))
MODELS = {"m": IDENTITY}

LOAD: Call = ("load_by_name", NAME, 1, GRAPH)
OPEN: Call = ("init_execution_context", At(GRAPH), CONTEXT)
SET: Call = ("set_input", At(CONTEXT), 0, TENSOR)
COMPUTE: Call = ("compute", At(CONTEXT))
GET: Call = ("get_output", At(CONTEXT), 0, BUFFER, 1024, WRITTEN)
ALL = [LOAD, OPEN, SET, COMPUTE, GET]


def memory(
    kind: int = 1,
    shape: tuple[int, ...] = (1, 4),
    data: bytes = f32s(1, 2, 3, 4),
    padding: bytes = b"\0\0\0",
) -> dict[int, bytes]:
    """A guest's memory with the name "m" and one tensor."""
    return {
        NAME: b"m",
        WRITTEN: u32s(ODD),
        DIMS: u32s(*shape),
        TENSOR: record(DIMS, len(shape), kind, DATA, len(data), padding),
        DATA: data,
    }


def fake(dtype: DType, shape: tuple[int, ...] = (1, 4)) -> FakeEngine:
    return FakeEngine(inputs=[Port("x", shape, dtype)], outputs=[Port("y", shape, dtype)])
