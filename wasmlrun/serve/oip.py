"""The Open Inference Protocol v2 as data: requests and answers in JSON, tensors in binary.

https://github.com/kserve/open-inference-protocol. With the binary extension a body is JSON, its
size in a header, and then the tensors' bytes; KServe's and Triton's clients speak it.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.support.records import Record
from wasmlrun.support.tensor import DType, Tensor

HEADER = "inference-header-content-length"
TYPES = {
    "BOOL": DType.BOOL,
    "UINT8": DType.U8,
    "INT8": DType.I8,
    "INT32": DType.I32,
    "INT64": DType.I64,
    "FP16": DType.F16,
    "BF16": DType.BF16,
    "FP32": DType.F32,
    "FP64": DType.F64,
}
NAMES = {dtype: name for name, dtype in TYPES.items()}
MAX_INPUTS = 16
MAX_NAME = 256
MAX_RANK = 16
MAX_SIZE = 2**31
"""Of a dimension. Numbers of a thousand digits each would be multiplied for hours."""
_FORMATS = {
    DType.BOOL: "?",
    DType.U8: "B",
    DType.I8: "b",
    DType.I32: "i",
    DType.I64: "q",
    DType.F16: "e",
    DType.F32: "f",
    DType.F64: "d",
}


class Malformed(Exception):
    """A request is not as the protocol has it."""


class Asked(Record):
    """A request for an inference."""

    inputs: Sequence[tuple[str, Tensor]]
    id: str | None
    binary: Mapping[str, bool]
    """Outputs that were named, and whether their bytes are wanted as such; empty is "all"."""
    all_binary: bool


def parse(body: bytes, header_size: str | None) -> Asked:
    """A request. Raises Malformed."""
    size = len(body)
    if header_size is not None:
        if not header_size.isdecimal() or int(header_size) > len(body):
            raise Malformed(f"{HEADER} is {header_size!r}, the body has {len(body)} bytes")
        size = int(header_size)
    try:
        text = json.loads(body[:size])
    except (ValueError, RecursionError) as e:
        raise Malformed(f"the request is not JSON: {e}") from None
    if not isinstance(text, dict) or not isinstance(text.get("inputs"), list):
        raise Malformed('the request has no list "inputs"')
    if not 1 <= len(text["inputs"]) <= MAX_INPUTS:
        raise Malformed(f"{len(text['inputs'])} inputs; 1 to {MAX_INPUTS} are possible")
    at, inputs = size, []
    for entry in text["inputs"]:
        found, at = _input(entry, body, at)
        inputs.append(found)
    if at != len(body):
        raise Malformed(f"{len(body) - at} bytes more than the inputs have")
    outputs = text.get("outputs", [])
    if not isinstance(outputs, list) or not all(isinstance(o, dict) for o in outputs):
        raise Malformed('"outputs" must be a list of objects')
    identity = text.get("id")
    return Asked(
        inputs,
        identity if isinstance(identity, str) else None,
        {str(o.get("name")): _flag(o, "binary_data") for o in outputs},
        _flag(text, "binary_data_output"),
    )


def answer(
    model: str, asked: Asked, outputs: Sequence[tuple[str, Tensor]]
) -> tuple[bytes, int | None]:
    """The body of an answer, and the size of its JSON when bytes follow it. Raises Malformed."""
    known = [name for name, _ in outputs]
    for name in asked.binary:
        if name not in known:
            raise Malformed(f"the model has no output {name}; it has: {', '.join(known)}")
    entries, tail = [], []
    for name, tensor in outputs:
        if asked.binary and name not in asked.binary:
            continue
        entry: dict[str, Any] = {
            "name": name,
            "datatype": NAMES[tensor.dtype],
            "shape": list(tensor.shape),
        }
        if asked.binary.get(name, asked.all_binary) or tensor.dtype not in _FORMATS:
            entry["parameters"] = {"binary_data_size": len(tensor.data)}
            tail.append(bytes(tensor.data))
        else:
            entry["data"] = _numbers(tensor)
        entries.append(entry)
    head: dict[str, Any] = {"model_name": model, "model_version": "1", "outputs": entries}
    if asked.id is not None:
        head["id"] = asked.id
    text = json.dumps(head).encode()
    return b"".join((text, *tail)), len(text) if tail else None


def metadata(name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a model; `about` has its ports as (name, type, shape)."""
    sides = {
        side: [
            {"name": port, "datatype": NAMES[DType(dtype)], "shape": list(shape)}
            for port, dtype, shape in about[side]
        ]
        for side in ("inputs", "outputs")
    }
    return {"name": name, "versions": ["1"], "platform": "wasmlrun", **sides}


def _input(entry: Any, body: bytes, at: int) -> tuple[tuple[str, Tensor], int]:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        raise Malformed('an input has no "name"')
    name, shape = entry["name"], entry.get("shape")
    if len(name) > MAX_NAME:
        raise Malformed(f"an input's name has {len(name)} characters, more than {MAX_NAME}")
    dtype = TYPES.get(str(entry.get("datatype")))
    if dtype is None:
        raise Malformed(f"input {name}: datatype {entry.get('datatype')} is not one of "
                        f"{', '.join(TYPES)}")  # fmt: skip
    if not isinstance(shape, list) or len(shape) > MAX_RANK or not all(map(_is_size, shape)):
        raise Malformed(f"input {name}: its shape must be a list of up to {MAX_RANK} numbers")
    count = math.prod(shape)
    parameters = entry.get("parameters")
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is not None:
        if size != count * dtype.size or at + size > len(body):
            raise Malformed(
                f"input {name}: {size} bytes of binary data, its shape has {count * dtype.size}, "
                f"the body {len(body) - at}"
            )
        return (name, Tensor(tuple(shape), dtype, body[at : at + size])), at + size
    if dtype not in _FORMATS:
        raise Malformed(f"input {name}: {entry['datatype']} has no form in JSON; send it in binary")
    numbers: list[Any] = []
    _flatten(entry.get("data"), numbers, count, 0)
    if len(numbers) > count:
        raise Malformed(f"input {name}: more numbers than the {count} that its shape has")
    if len(numbers) != count:
        raise Malformed(f"input {name}: {len(numbers)} numbers, its shape has {count}")
    try:
        data = struct.pack(f"<{count}{_FORMATS[dtype]}", *numbers)
    except (struct.error, OverflowError) as e:
        raise Malformed(f"input {name}: {e}") from None
    return (name, Tensor(tuple(shape), dtype, data)), at


def _is_size(number: Any) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= MAX_SIZE


def _flatten(data: Any, found: list[Any], most: int, depth: int) -> None:
    if isinstance(data, list) and depth < MAX_RANK:
        for item in data:
            _flatten(item, found, most, depth + 1)
            if len(found) > most:
                return
    elif isinstance(data, (int, float)):
        found.append(data)
    else:
        raise Malformed('"data" must be numbers, in lists')


def _numbers(tensor: Tensor) -> list[Any]:
    count = math.prod(tensor.shape)
    numbers = struct.unpack(f"<{count}{_FORMATS[tensor.dtype]}", tensor.data)
    # JSON has no other numbers
    return [n if not isinstance(n, float) or math.isfinite(n) else None for n in numbers]


def _flag(holder: Mapping[str, Any], name: str) -> bool:
    parameters = holder.get("parameters")
    return isinstance(parameters, dict) and parameters.get(name) is True
