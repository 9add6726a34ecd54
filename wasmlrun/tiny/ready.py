"""A model made ready for the compiler, and on its way there from the process that read it.

The model may have taken that process over. So what arrives is numbers within bounds, labels, and C
that can say no more than `source` writes: names, numbers, calls. Whatever the kernels then make
of it happens in a sandbox.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from wasmlrun.support.tensor import DType
from wasmlrun.tiny.build import Ends
from wasmlrun.tiny.graph import SIZES, Quant, Value
from wasmlrun.tiny.source import Source
from wasmlrun.vision.preprocess import InputSpec

T = TypeVar("T")

_MOST = (1 << 32) - 1
"""Bytes of a WebAssembly memory, which no number of a model exceeds."""
_MOST_DIMENSIONS = 8
_COMMENT = re.compile(r"/\* [^*\\\n]* \*/")
# no directives, no texts, no assembler, no arrays of its own
_C = re.compile(r"[A-Za-z0-9_(){}=&*+,.; \n-]*")
_RESERVED = re.compile(r"\b(?:_|asm\b)")


@dataclass(frozen=True, slots=True)
class Ready:
    """Everything that a compiler needs of a model."""

    sha256: str
    labels: Sequence[str] | None
    source: Source
    ends: Ends
    arena: int
    arena_least: int
    """Bytes in use at the busiest step: what no plan could go below."""
    operations: int
    unsure_below: float | None


def packed(ready: Ready) -> tuple[dict[str, Any], tuple[bytes, bytes]]:
    """A record of JSON's types, and the two files."""
    ends, source, spec = ready.ends, ready.source, ready.ends.picture
    quant = ends.output.quant
    head = {
        "sha256": ready.sha256,
        "labels": None if ready.labels is None else list(ready.labels),
        "input": {"shape": list(ends.input.shape), "dtype": ends.input.dtype},
        "output": {"shape": list(ends.output.shape), "dtype": ends.output.dtype},
        "quant": None if quant is None else [quant.scale[0], quant.zero[0]],
        "input_at": ends.input_at,
        "output_at": ends.output_at,
        "classes": ends.classes,
        "logits": ends.logits,
        "label_offset": ends.label_offset,
        "picture": None if spec is None else plain_picture(spec),
        "scratch": source.scratch,
        "expanded": source.expanded,
        "state": source.state,
        "arena": ready.arena,
        "arena_least": ready.arena_least,
        "operations": ready.operations,
        "unsure_below": ready.unsure_below,
    }
    return head, (source.layers.encode(), source.constants)


def unpacked(head: Mapping[str, Any], parts: Sequence[bytes | bytearray | memoryview]) -> Ready:
    """What `packed` made these of. Raises ValueError, LookupError or TypeError for others."""
    layers, constants = map(bytes, parts)
    source = Source(
        checked_c(layers.decode()),
        constants,
        _whole(head["scratch"]),
        _whole(head["expanded"]),
        _whole(head["state"]),
    )
    sha256 = head["sha256"]
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        raise ValueError("its digest is none")
    labels = head["labels"]
    return Ready(
        sha256,
        None if labels is None else [_label(label) for label in labels],
        source,
        _ends(head),
        _whole(head["arena"]),
        _whole(head["arena_least"]),
        _whole(head["operations"]),
        _perhaps(head["unsure_below"], _number),
    )


def checked_c(text: str) -> str:
    """C that names, counts and calls, and nothing besides. Raises ValueError."""
    code = _COMMENT.sub("", text)
    if not _C.fullmatch(code) or _RESERVED.search(code):
        raise ValueError("its C has what was not written there")
    return text


def plain_picture(spec: InputSpec) -> dict[str, Any]:
    """How a picture becomes the input, of JSON's types."""
    return {
        "size": [spec.height, spec.width],
        "resize": spec.resize,
        "layout": spec.layout,
        "dtype": spec.dtype.value,
        "color": spec.color,
        "mean": list(spec.mean),
        "scale": list(spec.scale),
    }


def _ends(head: Mapping[str, Any]) -> Ends:
    quant = None
    if head["quant"] is not None:
        scale, zero = head["quant"]
        quant = Quant((_number(scale),), (_whole(zero, -(1 << 31)),))
    return Ends(
        _value(head["input"], tuple(SIZES), None),
        _value(head["output"], ("u8", "i8", "f32"), quant),
        _whole(head["input_at"]),
        _whole(head["output_at"]),
        _whole(head["classes"]),
        _choice(head["logits"], (True, False)),
        _whole(head["label_offset"], -(1 << 31)),
        _perhaps(head["picture"], _spec),
    )


def _value(told: Mapping[str, Any], dtypes: tuple[str, ...], quant: Quant | None) -> Value:
    shape = tuple(_whole(size) for size in told["shape"])
    if len(shape) > _MOST_DIMENSIONS:
        raise ValueError(f"a tensor has {len(shape)} dimensions")
    value = Value("", shape, _choice(told["dtype"], dtypes), quant)
    _whole(value.size)
    return value


def _spec(told: Mapping[str, Any]) -> InputSpec:
    height, width = told["size"]
    return InputSpec(
        _whole(height, 1),
        _whole(width, 1),
        _choice(told["resize"], ("crop", "stretch", "pad")),
        _choice(told["layout"], ("NHWC", "NCHW")),
        DType(told["dtype"]),
        _choice(told["color"], ("RGB", "BGR", "gray")),
        _channels(told["mean"]),
        _channels(told["scale"]),
    )


def _channels(told: Sequence[Any]) -> tuple[float, ...]:
    if not 1 <= len(told) <= 3:
        raise ValueError(f"{len(told)} channels")
    return tuple(map(_number, told))


def _label(told: Any) -> str:
    if not isinstance(told, str) or "\n" in told:
        raise ValueError("a label is none")
    told.encode()
    return told


def _perhaps(told: Any, read: Callable[[Any], T]) -> T | None:
    return None if told is None else read(told)


def _choice(told: Any, values: tuple[T, ...]) -> T:
    """One of these values, of their type too."""
    for value in values:
        if type(told) is type(value) and told == value:
            return value
    raise ValueError(f"{str(told)[:40]!r} is not {values[0]!r} or the like")


def _whole(told: Any, least: int = 0) -> int:
    if type(told) is not int or not least <= told <= _MOST:
        raise ValueError(f"{str(told)[:40]!r} is no number of bytes or elements")
    return told


def _number(told: Any) -> float:
    if type(told) not in (int, float) or not math.isfinite(told):
        raise ValueError(f"{str(told)[:40]!r} is no number")
    return float(told)
