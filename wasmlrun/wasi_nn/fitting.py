"""Whether what a guest gives fits the model: the port that is meant, size, type and shape."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence

from wasmlrun.engines.protocol import Port
from wasmlrun.support.tensor import DType, Tensor, byte_size, describe
from wasmlrun.wasi_nn.errors import NnErrno, NnError


def port_of(ports: Sequence[Port], index: int | str, what: str, side: str) -> tuple[int, Port]:
    """A port by its number or name, and its number. Raises NnError."""
    if isinstance(index, int):
        if 0 <= index < len(ports):
            return index, ports[index]
    else:
        for number, port in enumerate(ports):
            if port.name == index:
                return number, port
        # hosts of the component model also number inputs and outputs: "0", "1"
        # (few digits: Python refuses to read a number of thousands)
        short = len(index) < 10 and index.isascii() and index.isdigit()
        if short and int(index) < len(ports):
            return int(index), ports[int(index)]
    names = ", ".join(f"{n} {port.name}" for n, port in enumerate(ports))
    raise NnError(
        NnErrno.INVALID_ARGUMENT, f"{what}: the model has no {side} {index} (it has: {names})"
    )


def fitted(tensor: Tensor, port: Port, interleaved: Callable[[Tensor], bool]) -> Tensor:
    """The tensor as the port wants it: checked, and relabelled where the bytes agree.

    `interleaved` says of a tensor whose size is right whether its bytes are N,H,W,C although its
    dims say N,C,H,W, as hosts before mid-2024 had it.

    Raises:
        NnError: its size, type or shape is not what the port takes.
    """
    expected = describe(port.shape, port.dtype)
    size = byte_size(tensor.shape, tensor.dtype)
    if len(tensor.data) != size:
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"set_input: {describe(tensor.shape, tensor.dtype)} takes {size} bytes, "
            f"{len(tensor.data)} given (the model expects {expected})",
        )
    if interleaved(tensor):
        tensor = _from_interleaved(tensor, port)
    if not port.declared:
        return tensor
    if not _same_elements(tensor.dtype, port.dtype):
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"set_input: the model expects {expected}, given was {tensor} – "
            "the element type differs",
        )
    shape = _fitting_shape(tensor.shape, port.shape)
    if shape is None:
        raise NnError(
            NnErrno.INVALID_ARGUMENT,
            f"set_input: the model expects {expected}, given was {tensor} – the shape differs"
            + _layout_remedy(tensor.shape, port.shape),
        )
    return Tensor(shape, port.dtype, tensor.data)


def _same_elements(given: DType, wanted: DType) -> bool:
    """WASI-NN has no i8 and no bool: u8 stands for any type of one byte."""
    return given is wanted or (given is DType.U8 and wanted.size == 1)


def _fitting_shape(given: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...] | None:
    """The given shape as the model's rank has it, None when it does not fit.

    Some hosts never look at dims, so guests leave out, or add, sizes of 1 in front.
    """
    core = given
    while len(core) > len(wanted) and core[0] == 1:
        core = core[1:]
    core = (1,) * (len(wanted) - len(core)) + core
    fits = len(core) == len(wanted) and all(w in (-1, g) for g, w in zip(core, wanted, strict=True))
    return core if fits else None


def _layout_remedy(given: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """What may help where channels come first and the model has them last."""
    if len(given) != 4 or given[1] not in (1, 3, 4):
        return ""
    n, c, h, w = given
    if _fitting_shape((n, h, w, c), wanted) is None:
        return ""
    return "; for a guest built for a host of before mid-2024: --input-layout nhwc"


def _from_interleaved(tensor: Tensor, port: Port) -> Tensor:
    """Undo the old hosts' confusion: dims say N,C,H,W and the bytes are N,H,W,C."""
    if len(tensor.shape) != 4 or tensor.shape[1] not in (1, 3, 4):
        return tensor
    n, c, h, w = tensor.shape
    if len(port.shape) == 4 and port.shape[3] == c and port.shape[1] in (h, -1):
        return Tensor((n, h, w, c), tensor.dtype, tensor.data)
    elements = array({1: "B", 2: "H", 4: "I", 8: "Q"}[tensor.dtype.size])
    elements.frombytes(tensor.data)
    planes = array(elements.typecode)
    pixels = h * w * c
    for start in range(0, n * pixels, pixels):
        sample = elements[start : start + pixels]
        for channel in range(c):
            planes.extend(sample[channel::c])
    return Tensor(tensor.shape, tensor.dtype, planes.tobytes())
