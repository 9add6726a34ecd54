"""C for sums of products of floats."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wasmlrun.tiny import weights
from wasmlrun.tiny.emit.writer import Writer, bias_of, float_bounds, tiles_of
from wasmlrun.tiny.graph import Array, Node


def emit_matrix(
    writer: Writer, node: Node, number: int, window: Mapping[str, int], matrix: Array
) -> None:
    """A matrix [outputs, inputs of the window] times the windows of a picture."""
    outputs, depth = matrix.shape
    tiles = tiles_of(writer, depth * 4, window)
    low, high = float_bounds(node)
    bias = weights.of_channels(bias_of(writer, node, outputs, np.float32))
    layer = writer.structure(
        "float_conv",
        f"{node.op}_{number}",
        {
            "shape": window,
            "weights": writer.floats(weights.float_matrix(matrix)),
            "bias": writer.constant(bias, "float"),
            "tiles": tiles,
            "gathered": "(float *)scratch",
            "low": low,
            "high": high,
        },
    )
    pointers = f"{writer.at(node.inputs[0])}, {writer.at(node.outputs[0])}"
    writer.calls.append(f"run_float_conv({layer}, {pointers});")


def emit_depthwise(
    writer: Writer, node: Node, number: int, window: Mapping[str, int], taps: Array
) -> None:
    """A window of each channel's own: [taps, channels]."""
    low, high = float_bounds(node)
    layer = writer.structure(
        "float_conv",
        f"depthwise_{number}",
        {
            "shape": window,
            "weights": writer.floats(taps),
            "bias": writer.constant(bias_of(writer, node, taps.shape[1], np.float32), "float"),
            "low": low,
            "high": high,
        },
    )
    pointers = f"{writer.at(node.inputs[0])}, {writer.at(node.outputs[0])}"
    writer.calls.append(f"run_float_depthwise({layer}, {pointers});")
