"""C for sums of products of bytes, and for bringing them back to bytes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wasmlrun.tiny import quantise, weights
from wasmlrun.tiny.emit.writer import Writer, bias_of, tiles_of
from wasmlrun.tiny.graph import Array, Node, Value


def emit_matrix(
    writer: Writer, node: Node, number: int, window: Mapping[str, int], matrix: Array
) -> None:
    """A matrix [outputs, inputs of the window] times the windows of a picture."""
    graph = writer.graph
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    stored = graph.value(node.inputs[1])
    rows = matrix.reshape(len(matrix), window["kernel_h"], -1)
    depth = rows.shape[1] * (rows.shape[2] + rows.shape[2] % 2)
    tiles = tiles_of(writer, depth * 2, window)
    bias = bias_of(writer, node, len(matrix), np.int32)
    real = matrix.astype(np.int64) - stored.scaling.zero[0]
    largest = quantise.largest_sum(real, bias, source.scaling)
    scaling = quantise.of_products(
        source, stored, out, node["activation"], largest, in_floats=_in_floats(node, stored)
    )
    bias = weights.of_channels(bias)
    layer = writer.structure(
        "int8_conv",
        f"{node.op}_{number}",
        {
            "shape": window,
            "weights": writer.constant(weights.int8_matrix(rows), "int8_t"),
            "bias": writer.constant(bias, "int32_t"),
            "in_zero": source.scaling.zero[0],
            "weight_zero": -stored.scaling.zero[0],
            "tiles": tiles,
            "gathered": "(int16_t *)scratch",
            "scale": writer.scaling(scaling),
        },
    )
    pointers = f"{writer.at(source.name)}, {writer.at(out.name)}"
    writer.calls.append(f"run_int8_conv({layer}, {pointers});")


def emit_depthwise(
    writer: Writer, node: Node, number: int, window: Mapping[str, int], taps: Array
) -> None:
    """A window of each channel's own: [taps, channels]."""
    graph, channels = writer.graph, taps.shape[1]
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    stored = graph.value(node.inputs[1])
    zero, (_, left, _, right) = source.scaling.zero[0], node["pads"]
    real = taps.astype(np.int64) - stored.scaling.zero[0]
    bias = bias_of(writer, node, channels, np.int64)
    largest = quantise.largest_sum(real.T, bias, source.scaling)
    bias -= zero * real.sum(axis=0)
    right = max(right, _reach(window) - left - window["in_w"])
    ring = (window["kernel_h"] - 1) * window["dilation_h"] + 1
    writer.use_scratch(ring * (left + window["in_w"] + right) * channels + weights.BLOCK)
    scaling = quantise.of_products(
        source, stored, out, node["activation"], largest, in_floats=_in_floats(node, stored)
    )
    layer = writer.structure(
        "int8_depthwise",
        f"depthwise_{number}",
        {
            "shape": window,
            "weights": writer.constant(weights.int8_taps(taps), "int8_t"),
            "bias": writer.constant(weights.of_channels(bias.astype(np.int32)), "int32_t"),
            "in_zero": zero,
            "weight_zero": -stored.scaling.zero[0],
            "pad_right": right,
            "rows": "(int8_t *)scratch",
            "scale": writer.scaling(scaling),
        },
    )
    pointers = f"{writer.at(source.name)}, {writer.at(out.name)}"
    writer.calls.append(f"run_int8_depthwise({layer}, {pointers});")


def _in_floats(node: Node, stored: Value) -> bool:
    return bool(node.attributes.get("in_floats")) and not stored.scaling.per_channel


def _reach(window: Mapping[str, int]) -> int:
    """Columns that the windows of a row look at."""
    last = (window["out_w"] - 1) * window["stride_w"]
    return last + (window["kernel_w"] - 1) * window["dilation_w"] + 1
