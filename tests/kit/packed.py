"""Packed modules used as a library, and the engines that they are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import wasmtime


class Library:
    """A packed module whose `input`, `infer` and `output` are called; nothing else is there."""

    def __init__(self, module: Path) -> None:
        engine = wasmtime.Engine()
        self._store = wasmtime.Store(engine)
        code = wasmtime.Module.from_file(engine, str(module))
        # WASI is for the program only: every function of it traps
        imports = []
        for wanted in code.imports:
            assert isinstance(wanted.type, wasmtime.FuncType)
            imports.append(wasmtime.Func(self._store, wanted.type, _never))
        self._exports = wasmtime.Instance(self._store, code, imports).exports(self._store)
        self._memory: Any = self._exports["memory"]

    def call(self, name: str) -> Any:
        """Call an export without arguments."""
        function: Any = self._exports[name]
        return function(self._store)

    def call_with(self, name: str, argument: int) -> Any:
        """Call an export with one number."""
        function: Any = self._exports[name]
        return function(self._store, argument)

    def write(self, at: int, data: bytes) -> None:
        """Put bytes into its memory."""
        self._memory.write(self._store, data, at)

    def memory_at(self, at: int, size: int) -> bytes:
        """Bytes of its memory."""
        return bytes(self._memory.read(self._store, at, at + size))

    def text(self, at: int) -> str:
        """A text that ends with a zero."""
        return self.memory_at(at, 200).partition(b"\0")[0].decode()

    def __call__(self, data: bytes) -> bytes:
        """One inference."""
        assert len(data) == self.call("input_size")
        self.write(self.call("input"), data)
        self.call("infer")
        return self.memory_at(self.call("output"), self.call("output_size"))

    @property
    def memory(self) -> int:
        """Bytes of linear memory now."""
        return int(self._memory.data_len(self._store))


def _never(*arguments: object) -> int:
    raise AssertionError("a library call went out to WASI")


def litert(model: bytes, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """LiteRT's answer, from its reference kernels."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    answer: np.ndarray[Any, Any] = interpreter.get_tensor(
        interpreter.get_output_details()[0]["index"]
    )
    return answer


def openvino(model: bytes, inputs: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """OpenVINO's answer for an ONNX model, in 32-bit floats."""
    import openvino as ov

    core, settings = ov.Core(), {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(core.read_model(model), "CPU", settings)
    answer: np.ndarray[Any, Any] = compiled(inputs)[0]
    return answer
