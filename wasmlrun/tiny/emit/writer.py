"""What the C of every operation is written with: pointers, structures, numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wasmlrun.tiny import weights
from wasmlrun.tiny.arena import Arena
from wasmlrun.tiny.graph import Array, Graph, Node, Shape
from wasmlrun.tiny.quantise import Scaling

PIXELS = 4
"""Pixels that a matrix kernel computes at once; `common.h` has the same."""
LOWEST, HIGHEST = "-INFINITY", "INFINITY"
_GATHERED = 16384
"""Bytes that gathered inputs should not exceed by much: half of a small first cache."""
_MOST_TILES = 16
_C_TYPES = {"i8": "int8_t", "u8": "uint8_t", "f32": "float"}


@dataclass(slots=True)
class Writer:
    """The C as it grows, and the constants that it points to."""

    graph: Graph
    arena: Arena
    constants: weights.Constants = field(default_factory=weights.Constants)
    declarations: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    prepared: list[str] = field(default_factory=list)
    scratch: int = 0
    expanded: int = 0
    state: dict[str, int] = field(default_factory=dict)
    state_size: int = 0

    def at(self, name: str) -> str:
        """A pointer to a tensor, computed or constant."""
        value = self.graph.value(name)
        kind = _C_TYPES[value.dtype]
        if value.data is not None:
            return f"({kind} *)(constants + {self.constants.add(value.data)})"
        return f"({kind} *)(arena + {self.arena.offsets[name]})"

    def constant(self, array: Array, kind: str) -> str:
        """A pointer to numbers that are put among the constants."""
        return f"(const {kind} *)(constants + {self.constants.add(array)})"

    def floats(self, array: Array) -> str:
        """A pointer to floats, which are stored as halves where that loses nothing."""
        array = np.ascontiguousarray(array, np.float32)
        halves = weights.as_halves(array)
        if halves is None or array.size < 64:
            return self.constant(array, "float")
        at, self.expanded = self.expanded, self.expanded + -(-array.size * 4 // 16) * 16
        stored = self.constant(halves, "uint16_t")
        self.prepared.append(f"expand_halves({array.size}, {stored}, (float *)(expanded + {at}));")
        return f"(const float *)(expanded + {at})"

    def structure(self, kind: str, name: str, fields: Mapping[str, Any]) -> str:
        """Declare a constant structure; its address."""
        inner = ", ".join(f".{key} = {_c(value)}" for key, value in fields.items())
        self.declarations.append(f"static const {kind} {name} = {{{inner}}};")
        return f"&{name}"

    def scaling(self, scaling: Scaling) -> dict[str, Any]:
        """A `scaling` of `int8_scale.h`."""
        multipliers = np.array(scaling.multipliers, np.int32)
        shifts = np.array(scaling.shifts, np.int8)
        if scaling.per_channel:
            multipliers, shifts = weights.of_channels(multipliers), weights.of_channels(shifts)
        return {
            "multiplier": self.constant(multipliers, "int32_t"),
            "shift": self.constant(shifts, "int8_t"),
            "per_channel": int(scaling.per_channel),
            "grows": int(scaling.grows),
            "doubles": int(scaling.doubles),
            "zero": scaling.zero,
            "low": scaling.low,
            "high": scaling.high,
        }

    def use_scratch(self, size: int) -> None:
        """Make sure that there are so many bytes of scratch."""
        self.scratch = max(self.scratch, -(-size // 16) * 16)


Emitter = Callable[[Writer, Node, int], None]
"""Writes one operation, which has that number in the graph."""


def _c(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f".{k} = {_c(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(_c(v) for v in value) + "}"
    if isinstance(value, float):
        return literal(value)
    return str(value)


def literal(value: float) -> str:
    """A float as C has it."""
    if math.isinf(value):
        return HIGHEST if value > 0 else LOWEST
    return f"{float(np.float32(value))!r}f"


def comment(text: str) -> str:
    """Text of the model's in a comment: nothing that could end it, nor begin a line."""
    return "".join(c if c.isprintable() and c not in "*\\" else "?" for c in text)[:120]


def window_of(node: Node, source: Shape, out: Shape) -> dict[str, int]:
    """A `window` of `common.h`: pictures and window, as fields."""
    batch, in_h, in_w, in_c = source
    _, out_h, out_w, out_c = out
    kernel, stride = node["kernel"], node["stride"]
    dilation = node.attributes.get("dilation", (1, 1))
    top, left, _, _ = node["pads"]
    return {
        **{"batch": batch, "in_h": in_h, "in_w": in_w, "in_c": in_c},
        **{"out_h": out_h, "out_w": out_w, "out_c": out_c},
        **{"kernel_h": kernel[0], "kernel_w": kernel[1]},
        **{"stride_h": stride[0], "stride_w": stride[1]},
        **{"dilation_h": dilation[0], "dilation_w": dilation[1]},
        **{"pad_top": top, "pad_left": left},
    }


def float_bounds(node: Node) -> tuple[float, float]:
    """What the activation of a node allows; infinite where it has none."""
    known: dict[str, tuple[float, float]] = {
        "relu": (0.0, math.inf),
        "relu6": (0.0, 6.0),
        "relu_n1_to_1": (-1.0, 1.0),
        "clip": node.attributes.get("bounds", (0.0, 0.0)),
    }
    return known.get(node.attributes.get("activation", "none"), (-math.inf, math.inf))


def bias_of(writer: Writer, node: Node, outputs: int, kind: type[np.generic]) -> Array:
    """One number an output; zeros where the node has none."""
    if len(node.inputs) > 2 and node.inputs[2]:
        return writer.graph.data(node.inputs[2]).reshape(-1).astype(kind)
    return np.zeros(outputs, kind)


def tiles_of(writer: Writer, pixel_bytes: int, window: Mapping[str, int]) -> int:
    """How many tiles of `PIXELS` windows are gathered at once, in scratch that this provides."""
    tile = pixel_bytes * PIXELS
    pixels = window["batch"] * window["out_h"] * window["out_w"]
    tiles = max(1, min(_GATHERED // tile, _MOST_TILES, -(-pixels // PIXELS)))
    writer.use_scratch(tile * tiles)
    return tiles
