"""PyTorch behind the engine Protocol: TorchScript modules and exported programs."""

from __future__ import annotations

import io
import math
import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Protocol

from wasmlrun.engines.protocol import About, EngineError, OutOfMemoryError, Port, Settings
from wasmlrun.engines.torch.archive import Archive
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.process import native_stderr_muted
from wasmlrun.support.tasks import processors
from wasmlrun.support.tensor import DType, Tensor

if TYPE_CHECKING:
    from collections.abc import Iterator

_NAMES = {
    DType.F32: "float32",
    DType.F64: "float64",
    DType.F16: "float16",
    DType.BF16: "bfloat16",
    DType.U8: "uint8",
    DType.I8: "int8",
    DType.I32: "int32",
    DType.I64: "int64",
    DType.BOOL: "bool",
}
_DTYPES = {f"torch.{name}": dtype for dtype, name in _NAMES.items()}
_CHANNELS = (1, 3, 4)
_WANT_OF_MEMORY = ("not enough memory", "can't allocate memory", "bad_alloc", "pthread_create")


class Runnable(Protocol):
    """What computes outputs of inputs."""

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        """The outputs, tensors of PyTorch."""


class PyTorch:
    """PyTorch. Importing it, which takes long, happens at the first use."""

    def __init__(self, about: About, settings: Settings) -> None:
        self.about = about
        self._settings = settings
        self._lock = threading.Lock()
        self._ready = False

    def prepare(self) -> None:
        """Import PyTorch and set its threads."""
        with suppress(EngineError):
            self._import()

    def version(self) -> str:
        """The version that PyTorch itself gives."""
        return str(self._import().__version__)

    def devices(self) -> Sequence[str]:
        """The processor: on others nothing was tried yet."""
        return ["CPU"]

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> TorchGraph:
        """Read a TorchScript module or an ExportedProgram. Raises EngineError."""
        if source.encoding not in self.about.encodings:
            raise EngineError(f"PyTorch does not read {source.encoding.value} models")
        if device not in self.devices():
            raise EngineError(f"PyTorch has no device {device} here")
        underway()
        (data,) = source.parts
        archive = Archive(data)
        torch = self._import()
        with _refusals(torch), native_stderr_muted():
            if archive.is_script:
                archive.check_script()
                return _script(torch, data)
            if archive.is_exported:
                return _exported(archive)
        raise EngineError(
            "the file is a pickle of Python objects, which could do anything: save the model "
            "with torch.jit.script(model).save(FILE) or torch.export.save(program, FILE)"
        )

    def _import(self) -> Any:
        with self._lock:
            try:
                import torch
            except (ImportError, OSError) as e:
                raise EngineError(f"PyTorch cannot be imported: {e}") from e
            if not self._ready:
                threads, streams = self._settings.threads, self._settings.streams
                torch.set_num_threads(threads or max(1, processors() // streams))
                self._ready = True
            return torch


class TorchGraph:
    """A model; it holds no state of a computation."""

    def __init__(self, model: Runnable, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        self._model: Runnable | None = model
        self.inputs = inputs
        self.outputs = outputs

    def open(self) -> TorchContext:
        """A set of inputs and outputs. Raises EngineError."""
        if self._model is None:
            raise EngineError("the graph was closed")
        return TorchContext(self._model, self.inputs, self.outputs)

    def close(self) -> None:
        """Forget the model; contexts keep it."""
        self._model = None


class TorchContext:
    """The inputs and outputs of one computation."""

    def __init__(self, model: Runnable, inputs: Sequence[Port], outputs: Sequence[Port]) -> None:
        import torch

        self._torch: Any = torch
        self._model = model
        self._ports = inputs
        self._wanted = outputs
        self._inputs: dict[int, Any] = {}
        self._outputs: Sequence[Any] = ()

    def set_input(self, index: int, tensor: Tensor) -> None:
        """Copy a tensor to give it to input `index`. Raises EngineError."""
        if not 0 <= index < len(self._ports):
            raise EngineError(f"the model has no input {index}")
        port = self._ports[index]
        if port.declared and (tensor.dtype is not port.dtype or not _fits(tensor.shape, port)):
            raise EngineError(f"input {index} ({port.name}) cannot be {tensor}")
        dtype = getattr(self._torch, _NAMES[tensor.dtype])
        with _refusals(self._torch):
            if tensor.data:
                flat = self._torch.frombuffer(bytearray(tensor.data), dtype=dtype)
            else:
                flat = self._torch.empty(0, dtype=dtype)
            self._inputs[index] = flat.reshape(tensor.shape)

    def compute(self) -> None:
        """Run synchronously. Raises EngineError."""
        if len(self._inputs) < len(self._ports):
            raise EngineError("an input was never set")
        given = [self._inputs[index] for index in range(len(self._ports))]
        with _refusals(self._torch), self._torch.inference_mode():
            outputs = self._model.run(given)
        if len(outputs) != len(self._wanted):
            raise EngineError(f"the model gave {len(outputs)} outputs, not {len(self._wanted)}")
        self._outputs = outputs

    def output(self, index: int) -> Tensor:
        """A copy of output `index`. Raises EngineError."""
        if not 0 <= index < len(self._outputs):
            raise EngineError(f"there is no output {index}")
        found = self._outputs[index]
        if not isinstance(found, self._torch.Tensor):
            raise EngineError(f"output {index} is no tensor")
        with _refusals(self._torch):
            return _copied(self._torch, found)

    def close(self) -> None:
        """Forget inputs and outputs."""
        self._inputs, self._outputs = {}, ()


class _Script:
    def __init__(self, module: Any) -> None:
        self._module = module

    def run(self, inputs: Sequence[Any]) -> Sequence[Any]:
        result = self._module(*inputs)
        if isinstance(result, dict):
            return list(result.values())
        return list(result) if isinstance(result, (tuple, list)) else [result]


def _script(torch: Any, data: bytes) -> TorchGraph:
    module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()
    arguments = module.forward.schema.arguments[1:]
    wanted = [a for a in arguments if not a.has_default_value()]
    for argument in wanted:
        if "Tensor" not in str(argument.type):
            raise EngineError(f"the model's input {argument.name} is a {argument.type}, no tensor")
    # TorchScript does not say shapes; a picture is told by the first convolution
    shape: tuple[int, ...] = ()
    for parameter in module.parameters():
        if parameter.dim() == 4 and parameter.shape[1] in _CHANNELS:
            shape = (-1, int(parameter.shape[1]), -1, -1)
        if parameter.dim() >= 2:
            break
    inputs = [
        Port(a.name, shape if n == 0 else (), DType.F32, declared=False)
        for n, a in enumerate(wanted)
    ]
    (returned,) = module.forward.schema.returns
    elements = returned.type.elements() if returned.type.kind() == "TupleType" else [returned.type]
    outputs = [Port(f"output{n}", (), DType.F32, declared=False) for n in range(len(elements))]
    return TorchGraph(_Script(module), inputs, outputs)


def _exported(archive: Archive) -> TorchGraph:
    from wasmlrun.engines.torch.exported import DTYPES, Program

    program = Program(archive)

    def ports(found: Sequence[tuple[str, Any]]) -> list[Port]:
        made = []
        for name, meta in found:
            dtype = _DTYPES.get(str(DTYPES.get(meta["dtype"])))
            if dtype is None:
                raise EngineError(f"{name} of the model is of a type that is not supported")
            sizes = tuple(int(size.get("as_int", -1)) for size in meta["sizes"])
            made.append(Port(name, sizes, dtype))
        return made

    return TorchGraph(program, ports(program.inputs), ports(program.outputs))


def _fits(shape: tuple[int, ...], port: Port) -> bool:
    return len(shape) == len(port.shape) and all(
        p in (-1, n) for n, p in zip(shape, port.shape, strict=True)
    )


def _copied(torch: Any, found: Any) -> Tensor:
    dtype = _DTYPES.get(str(found.dtype))
    if dtype is None:
        raise EngineError(f"the model gave {found.dtype}, which is not supported")
    shape = tuple(map(int, found.shape))
    data = bytearray(math.prod(shape) * dtype.size)
    if data:
        target = torch.frombuffer(data, dtype=found.dtype).reshape(shape)
        target.copy_(found.detach())
    return Tensor(shape, dtype, bytes(data))


@contextmanager
def _refusals(torch: Any) -> Iterator[None]:
    """What PyTorch raises as EngineError."""
    # NotImplementedError is a RuntimeError; what TorchScript raises is not
    kinds = (RuntimeError, ValueError, TypeError, IndexError, KeyError, AttributeError)
    try:
        yield
    except (*kinds, AssertionError, OverflowError, torch.jit.Error) as e:
        lines = [line.strip() for line in str(e).splitlines() if line.strip()]
        sentence = (lines[-1] if lines and "Traceback" in lines[0] else " ".join(lines))[:400]
        if any(word in str(e) for word in _WANT_OF_MEMORY):
            raise OutOfMemoryError(sentence) from e
        raise EngineError(sentence or "PyTorch gave no reason") from e
    except MemoryError as e:
        raise OutOfMemoryError("PyTorch could not have the memory that it wanted") from e
