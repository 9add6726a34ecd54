"""An ExportedProgram read as the data that it is: a graph in JSON, weights as raw bytes.

`torch.export.load` evaluates expressions of the file as Python and unpickles sample inputs. So
the graph is run here, operator by operator; those of `aten` and plain arithmetic, and no others.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from wasmlrun.engines.protocol import EngineError
from wasmlrun.engines.torch.archive import Archive

# ScalarType, MemoryFormat and Layout of torch/_export/serde/schema.py
DTYPES = {
    1: torch.uint8,
    2: torch.int8,
    3: torch.int16,
    4: torch.int32,
    5: torch.int64,
    6: torch.float16,
    7: torch.float32,
    8: torch.float64,
    12: torch.bool,
    13: torch.bfloat16,
}
_FORMATS = {
    1: torch.contiguous_format,
    2: torch.channels_last,
    3: torch.channels_last_3d,
    4: torch.preserve_format,
}
_STRIDED = 7
_PLAIN = ("add", "sub", "mul", "floordiv", "truediv", "mod", "neg", "getitem")
_COMPARING = ("eq", "ne", "lt", "le", "gt", "ge")
_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    f"_operator.{name}": getattr(operator, name) for name in (*_PLAIN, *_COMPARING)
}
_REFUSED = {"save", "from_file"}


class Program:
    """A graph with its weights."""

    def __init__(self, archive: Archive) -> None:
        """Raises EngineError when the file holds no program that can be run here."""
        try:
            self._read(archive)
        except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError) as e:
            raise EngineError(f"the program in the file is not understood: {e!r}") from e

    def _read(self, archive: Archive) -> None:
        models = [n for n in archive.names if n.startswith("models/") and n.endswith(".json")]
        if len(models) != 1:
            raise EngineError(f"the file holds {len(models)} programs; one can be run")
        program = json.loads(archive.read(models[0]))
        module = program["graph_module"]
        self._graph = module["graph"]
        values = self._graph["tensor_values"]
        stem = models[0].removeprefix("models/").removesuffix(".json")
        stored = _stored(archive, f"data/weights/{stem}_weights_config.json", "data/weights")
        stored |= _stored(archive, f"data/constants/{stem}_constants_config.json", "data/constants")
        self._held: dict[str, torch.Tensor] = {}
        self.inputs: list[tuple[str, Any]] = []
        self.outputs: list[tuple[str, Any]] = []
        for spec in module["signature"]["input_specs"]:
            ((kind, found),) = spec.items()
            if kind == "user_input":
                name = found["arg"]["as_tensor"]["name"]
                self.inputs.append((name, values[name]))
            elif kind in ("parameter", "buffer"):
                self._held[found["arg"]["name"]] = stored[found[f"{kind}_name"]]
            elif kind == "tensor_constant":
                self._held[found["arg"]["name"]] = stored[found["tensor_constant_name"]]
            else:
                raise EngineError(f"the program takes a {kind}, which is not supported")
        for spec in module["signature"]["output_specs"]:
            ((kind, found),) = spec.items()
            if kind == "user_output":
                name = found["arg"]["as_tensor"]["name"]
                self.outputs.append((name, values[name]))
        self._nodes = [(_operator(node["target"]), node) for node in self._graph["nodes"]]

    def run(self, inputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """The outputs for these inputs."""
        values: dict[str, Any] = dict(self._held)
        values.update(zip((name for name, _ in self.inputs), inputs, strict=True))
        for function, node in self._nodes:
            positional: list[Any] = []
            named: dict[str, Any] = {}
            for given in node["inputs"]:
                value = _argument(given["arg"], values)
                if given.get("kind", 1) == 2:
                    named[given["name"]] = value
                else:
                    positional.append(value)
            _keep(node["outputs"], function(*positional, **named), values)
        return [values[name] for name, _ in self.outputs]


def _operator(target: str) -> Callable[..., Any]:
    if target in _ARITHMETIC:
        return _ARITHMETIC[target]
    space, _, rest = target.partition("torch.ops.aten.")
    name, _, overload = rest.partition(".")
    plain = name.isidentifier() and overload.isidentifier() and not name.startswith("__")
    if space or not plain or name in _REFUSED:
        raise EngineError(f"the program calls {target}: refused, it may only compute")
    found = getattr(getattr(torch.ops.aten, name), overload)
    if not isinstance(found, torch._ops.OpOverload):
        raise EngineError(f"the program calls {target}, which is no operator")
    return found


def _stored(archive: Archive, config: str, folder: str) -> dict[str, torch.Tensor]:
    if config not in archive.names:
        return {}
    found = {}
    for name, entry in json.loads(archive.read(config))["config"].items():
        if entry.get("use_pickle"):
            raise EngineError(f"the weight {name} is a pickle of Python: refused")
        meta = entry["tensor_meta"]
        sizes, strides = (_whole_numbers(meta[key]) for key in ("sizes", "strides"))
        raw = bytearray(archive.read(f"{folder}/{entry['path_name']}"))
        dtype = DTYPES[meta["dtype"]]
        flat = torch.frombuffer(raw, dtype=dtype) if raw else torch.empty(0, dtype=dtype)
        offset = int(meta["storage_offset"]["as_int"])
        found[name] = flat.as_strided(sizes, strides, offset)
    return found


def _whole_numbers(sizes: Sequence[Mapping[str, Any]]) -> list[int]:
    return [int(size["as_int"]) for size in sizes]


def _argument(argument: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    ((kind, found),) = argument.items()
    if kind == "as_none":
        return None
    if kind == "as_tensor":
        return values[found["name"]]
    if kind in ("as_tensors", "as_nested_tensors"):
        return [values[one["name"]] for one in found]
    if kind == "as_optional_tensors":
        return [_argument(one, values) for one in found]
    if kind in ("as_int", "as_float", "as_bool", "as_string"):
        return found
    if kind in ("as_ints", "as_floats", "as_bools", "as_strings"):
        return list(found)
    if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
        return _symbol(found, values)
    if kind in ("as_sym_ints", "as_sym_bools", "as_sym_floats"):
        return [_symbol(one, values) for one in found]
    if kind == "as_scalar_type":
        return DTYPES[found]
    if kind == "as_memory_format":
        return _FORMATS[found]
    if kind == "as_layout" and found == _STRIDED:
        return torch.strided
    if kind == "as_device":
        return torch.device("cpu")
    raise EngineError(f"the program has an argument of a kind that is not supported: {kind}")


def _symbol(symbol: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    ((kind, found),) = symbol.items()
    return values[found] if kind == "as_name" else found


def _keep(outputs: Sequence[Mapping[str, Any]], result: Any, values: dict[str, Any]) -> None:
    """Name what an operator gave."""
    names: list[str | None] = []
    for output in outputs:
        ((kind, found),) = output.items()
        if kind == "as_tensors":
            for one, value in zip(found, result, strict=True):
                values[one["name"]] = value
            return
        if kind in ("as_sym_int", "as_sym_bool", "as_sym_float"):
            names.append(found["as_name"])
        else:
            names.append(found["name"] if kind == "as_tensor" else None)
    results = result if len(names) > 1 else [result]
    for name, value in zip(names, results, strict=True):
        if name is not None:
            values[name] = value
