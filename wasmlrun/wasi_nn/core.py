"""WASI-NN for core modules: `wasi_ephemeral_nn`, WasmEdge's additions, and old `wasi_nn`.

A guest is trusted with nothing: each pointer, length, handle and count is checked, a bad one
becomes an error number for the guest and a sentence for the person (`Session.failure`).

The ABI has gone through three numberings of tensor types, two record layouts and several
error lists; hosts of each are still in use and so are their guests. What they disagree on is
resolved here: the types by the bytes that the data has per element, the record layout by
module name and arity, auto-detection (5 or 6) by the model's own bytes.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable
from functools import partial

from wasmlrun.support.model_source import Encoding
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn.errors import NnErrno, NnError
from wasmlrun.wasi_nn.session import Session
from wasmlrun.wasmtime_c import Caller, GuestMemory, Linker, OutsideMemory

MODULE = "wasi_ephemeral_nn"
LEGACY_MODULE = "wasi_nn"
MODULES = (MODULE, LEGACY_MODULE)

MAX_BUILDERS = 64
MAX_RANK = 16
MAX_NAME = 4096

# What each type number has meant: crate ≤ 0.5, crate 0.6 and the WIT file, in this order.
_TYPE_CODES: dict[int, tuple[DType, ...]] = {
    0: (DType.F16,),
    1: (DType.F32,),
    2: (DType.U8, DType.F64),
    3: (DType.I32, DType.U8, DType.BF16),
    4: (DType.I32, DType.U8),
    5: (DType.I64, DType.I32),
    6: (DType.I64,),
}
# ggml to some hosts and auto-detection to others: the bytes decide
_AUTODETECT = (5, 6)
_ENCODINGS = {
    encoding.format.number: encoding
    for encoding in sorted(Encoding, key=lambda encoding: encoding.format.number)
    if encoding.format.number not in _AUTODETECT
}
# what WasmEdge has besides
_ELSEWHERE = {
    7: "neuralspeed",
    10: "mlx",
    11: "piper",
    12: "chattts",
    13: "openvino-genai",
    14: "bitnet",
}
_TARGETS = ("cpu", "gpu", "tpu", "auto")


class CoreBinding:
    """The host functions of one linker; `session` is the running instance's."""

    def __init__(self) -> None:
        self.session: Session | None = None

    def define(self, linker: Linker, imports: Iterable[tuple[str, str, int]]) -> None:
        """Define every WASI-NN function that a module imports, as (module, name, arity)."""
        wanted = list(imports)
        legacy = is_legacy(wanted)
        functions = _legacy_functions() if legacy else _functions()
        defined: set[tuple[str, str]] = set()
        for module, name, arity in wanted:
            # a module may import a function twice; of two kinds of it one cannot be linked
            if (name, arity) in functions and (module, name) not in defined:
                defined.add((module, name))
                handler = partial(self._call, name, functions[name, arity])
                linker.define(module, name, arity, handler)

    def _call(
        self,
        name: str,
        function: Callable[..., None],
        caller: Caller,
        *arguments: int,
    ) -> int:
        session = self.session
        assert session is not None, "a guest ran without a session"
        try:
            values = [argument & 0xFFFFFFFF for argument in arguments]
            if session.observer is None:
                _served(function, session, caller, values)
            else:
                with session.observer.call(name):
                    _served(function, session, caller, values)
        except NnError as error:
            if error.is_fault:
                session.failure = error
            return int(error.errno)
        return 0


def _served(
    function: Callable[..., None], session: Session, caller: Caller, values: Iterable[int]
) -> None:
    try:
        function(session, GuestMemory(caller), *values)
    except OutsideMemory as error:
        raise NnError(NnErrno.MISSING_MEMORY, str(error)) from error


def is_legacy(imports: Iterable[tuple[str, str, int]]) -> bool:
    """Whether the guest was built for WAMR's first ABI, told by the number of arguments."""
    return any((name, arity) in (("load", 4), ("get_output", 4)) for _, name, arity in imports)


def provides(name: str, arity: int) -> bool:
    """Whether a function of this name and number of arguments is provided to guests."""
    return (name, arity) in _functions() or (name, arity) in _legacy_functions()


def _functions() -> dict[tuple[str, int], Callable[..., None]]:
    return {
        ("load", 5): _load,
        ("load_by_name", 3): _load_by_name,
        ("load_by_name_with_config", 5): _load_by_name_with_config,
        ("init_execution_context", 2): _init_execution_context,
        ("set_input", 3): _set_input,
        ("compute", 1): _compute,
        ("compute_single", 1): partial(_compute, single=True),
        ("get_output", 5): _get_output,
        ("get_output_single", 5): partial(_get_output, single=True),
        ("fini_single", 1): _fini_single,
        ("unload", 1): _unload,
        ("finalize_execution_context", 1): _finalize_execution_context,
    }


def _legacy_functions() -> dict[tuple[str, int], Callable[..., None]]:
    return {
        ("load", 4): _legacy_load,
        ("init_execution_context", 2): _init_execution_context,
        ("set_input", 3): _legacy_set_input,
        ("compute", 1): _compute,
        ("get_output", 4): _legacy_get_output,
    }


def _load(
    session: Session,
    memory: GuestMemory,
    builders: int,
    count: int,
    encoding: int,
    target: int,
    out: int,
) -> None:
    memory.check_u32(out, "load: the graph handle")
    known, device = _encoding(encoding), _target(target)  # first: some encodings need no builders
    parts = _read_builders(session, memory, builders, count)
    handle = session.load(parts, known, device)
    memory.write_u32(out, handle, "load: the graph handle")


def _load_by_name(session: Session, memory: GuestMemory, name: int, size: int, out: int) -> None:
    memory.check_u32(out, "load_by_name: the graph handle")
    handle = session.load_by_name(_read_name(memory, name, size))
    memory.write_u32(out, handle, "load_by_name: the graph handle")


def _load_by_name_with_config(
    session: Session,
    memory: GuestMemory,
    name: int,
    size: int,
    config: int,
    config_size: int,
    out: int,
) -> None:
    memory.check_u32(out, "load_by_name: the graph handle")
    memory.check(config, config_size, "load_by_name_with_config: the configuration")
    session.admit_tensor(config_size)
    options = memory.read(config, config_size, "load_by_name_with_config: the configuration")
    handle = session.load_by_name(_read_name(memory, name, size), options=options)
    memory.write_u32(out, handle, "load_by_name: the graph handle")


def _init_execution_context(session: Session, memory: GuestMemory, graph: int, out: int) -> None:
    memory.check_u32(out, "init_execution_context: the context handle")
    handle = session.init_execution_context(graph)
    memory.write_u32(out, handle, "init_execution_context: the context handle")


def _set_input(
    session: Session, memory: GuestMemory, context: int, index: int, record: int
) -> None:
    dims, rank, code, data, size = struct.unpack(
        # only one byte of the type: some guests leave the padding dirty
        "<IIB3xII",
        memory.read(record, 20, "set_input: the tensor record"),
    )
    shape = _read_shape(memory, dims, rank)
    content = memory.read(data, size, "set_input: the tensor's data")
    if session.takes_bytes(context):
        # some guests give a text the dims [1]
        session.set_input(context, index, Tensor((size,), DType.U8, content))
        return
    session.set_input(context, index, Tensor(shape, _dtype(code, shape, size), content))


def _compute(session: Session, memory: GuestMemory, context: int, *, single: bool = False) -> None:
    session.compute(context, single=single)


def _get_output(
    session: Session,
    memory: GuestMemory,
    context: int,
    index: int,
    buffer: int,
    capacity: int,
    written: int,
    *,
    single: bool = False,
) -> None:
    memory.check_u32(written, "get_output: the number of bytes written")
    tensor = session.output(context, index, single=single)
    size = len(tensor.data)
    if size > capacity:
        memory.write_u32(written, size, "get_output: the number of bytes written")
        raise NnError(
            NnErrno.TOO_LARGE,
            f"get_output: output {index} is {tensor}, the guest's buffer holds {capacity} bytes",
        )
    memory.write(buffer, tensor.data, "get_output: the buffer")
    memory.write_u32(written, size, "get_output: the number of bytes written")
    session.fetched(index, tensor)


def _fini_single(session: Session, memory: GuestMemory, context: int) -> None:
    """WasmEdge: the end of a token-by-token computation."""
    session.fini_single(context)


def _unload(session: Session, memory: GuestMemory, graph: int) -> None:
    session.drop_graph(graph)


def _finalize_execution_context(session: Session, memory: GuestMemory, context: int) -> None:
    session.drop_context(context)


def _legacy_load(
    session: Session, memory: GuestMemory, builders: int, encoding: int, target: int, out: int
) -> None:
    pointer, count = memory.read_u32s(builders, 2, "load: the list of builders")
    _load(session, memory, pointer, count, encoding, target, out)


def _legacy_set_input(
    session: Session, memory: GuestMemory, context: int, index: int, record: int
) -> None:
    """WAMR's 12-byte record; it carries no data length: elements are f32."""
    dims, code, data = memory.read_u32s(record, 3, "set_input: the tensor record")
    pointer, rank = memory.read_u32s(dims, 2, "set_input: the dims record")
    shape = _read_shape(memory, pointer, rank)
    size = math.prod(shape) * DType.F32.size
    content = memory.read(data, size, "set_input: the tensor's data")
    session.set_input(context, index, Tensor(shape, _dtype(code & 0xFF, shape, size), content))


def _legacy_get_output(
    session: Session, memory: GuestMemory, context: int, index: int, buffer: int, in_out: int
) -> None:
    """The size, in and out, counts f32 elements."""
    (capacity,) = memory.read_u32s(in_out, 1, "get_output: the buffer's size")
    tensor = session.output(context, index)
    if tensor.dtype is not DType.F32:
        raise NnError(
            NnErrno.RUNTIME_ERROR,
            f"get_output: output {index} is {tensor}, and guests of the old wasi_nn module "
            "take f32 only",
        )
    elements = len(tensor.data) // DType.F32.size
    memory.write_u32(in_out, elements, "get_output: the number of elements")
    if elements > capacity:
        raise NnError(
            NnErrno.MISSING_MEMORY,
            f"get_output: output {index} has {elements} elements, the guest's buffer {capacity}",
        )
    memory.write(buffer, tensor.data, "get_output: the buffer")
    session.fetched(index, tensor)


def _read_builders(session: Session, memory: GuestMemory, pointer: int, count: int) -> list[bytes]:
    if not 0 < count <= MAX_BUILDERS:
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"load: {count} builders given, between 1 and {MAX_BUILDERS} are possible",
        )
    pairs = memory.read_u32s(pointer, 2 * count, "load: the list of builders")
    builders = list(zip(pairs[::2], pairs[1::2], strict=True))
    for i, (start, size) in enumerate(builders):
        memory.check(start, size, f"load: builder {i}")
    # before copying: many builders may point at the same bytes
    session.admit_model(sum(pairs[1::2]))
    return [
        memory.read(start, size, f"load: builder {i}") for i, (start, size) in enumerate(builders)
    ]


def _read_name(memory: GuestMemory, pointer: int, size: int) -> str:
    if size > MAX_NAME:
        raise NnError(
            NnErrno.INVALID_ARGUMENT, f"load_by_name: a name of {size} bytes; {MAX_NAME} may be"
        )
    data = memory.read(pointer, size, "load_by_name: the name")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise NnError(NnErrno.INVALID_ARGUMENT, "load_by_name: the name is not UTF-8") from None


def check_rank(rank: int) -> None:
    """Refuse a tensor of absurdly many dimensions. Raises NnError."""
    if rank > MAX_RANK:
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"set_input: a tensor of {rank} dimensions; {MAX_RANK} are possible",
        )


def _read_shape(memory: GuestMemory, pointer: int, rank: int) -> tuple[int, ...]:
    check_rank(rank)
    return memory.read_u32s(pointer, rank, "set_input: the dims")


def _dtype(code: int, shape: tuple[int, ...], size: int) -> DType:
    """The element type that a number means, given how many bytes each element has."""
    meanings = _TYPE_CODES.get(code)
    if meanings is None:
        raise NnError(NnErrno.INVALID_ARGUMENT, f"set_input: unknown tensor type {code}")
    elements = math.prod(shape)
    for dtype in meanings:
        if elements * dtype.size == size:
            return dtype
    possible = " or ".join(f"{m.value} ({elements * m.size} bytes)" for m in meanings)
    raise NnError(
        NnErrno.INVALID_ARGUMENT,
        f"set_input: a tensor of shape {list(shape)} and type {code} is {possible}, "
        f"{size} bytes given",
    )


def _encoding(number: int) -> Encoding | None:
    if number in _ELSEWHERE:
        raise NnError(
            NnErrno.INVALID_ENCODING,
            f"load: encoding {number} is WasmEdge's {_ELSEWHERE[number]}, for which there is no "
            "engine here (wasmlrun engines lists what there is)",
        )
    if number in _AUTODETECT:
        return None
    if number not in _ENCODINGS:
        known = ", ".join(f"{number} {encoding.value}" for number, encoding in _ENCODINGS.items())
        raise NnError(
            NnErrno.INVALID_ENCODING,
            f"load: encoding {number} is not supported "
            f"({known}, {' or '.join(map(str, _AUTODETECT))} auto-detect)",
        )
    return _ENCODINGS[number]


def _target(number: int) -> str:
    if number >= len(_TARGETS):
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"load: execution target {number} is unknown (0 cpu, 1 gpu, 2 tpu, 3 auto)",
        )
    return _TARGETS[number]
