"""C for sums of input × weight: convolutions, of each channel too, and fully connected layers."""

from __future__ import annotations

from wasmlrun.tiny.emit import float_products, int8_products
from wasmlrun.tiny.emit.writer import Emitter, Writer, window_of
from wasmlrun.tiny.graph import Node


def _conv(writer: Writer, node: Node, number: int) -> None:
    graph = writer.graph
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    data = graph.data(node.inputs[1])
    if node.op == "depthwise":  # of one channel: every output sees all of it
        data = data.transpose(3, 1, 2, 0)
    window = window_of(node, source.shape, out.shape)
    kind = int8_products if source.dtype == "i8" else float_products
    kind.emit_matrix(writer, node, number, window, data.reshape(len(data), -1))


def _dense(writer: Writer, node: Node, number: int) -> None:
    source, data = writer.graph.value(node.inputs[0]), writer.graph.data(node.inputs[1])
    outputs, depth = data.shape
    count = source.count // depth
    shape = {"kernel": (1, 1), "stride": (1, 1), "pads": (0, 0, 0, 0)}
    geometry = Node("conv", node.name, [], [], shape)
    window = window_of(geometry, (count, 1, 1, depth), (count, 1, 1, outputs))
    kind = int8_products if source.dtype == "i8" else float_products
    kind.emit_matrix(writer, node, number, window, data)


def _depthwise(writer: Writer, node: Node, number: int) -> None:
    graph = writer.graph
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    channels = source.shape[3]
    if channels == 1:
        _conv(writer, node, number)
        return
    taps = graph.data(node.inputs[1]).reshape(-1, channels)
    window = window_of(node, source.shape, out.shape)
    kind = int8_products if source.dtype == "i8" else float_products
    kind.emit_depthwise(writer, node, number, window, taps)


EMITTERS: dict[str, Emitter] = {"conv": _conv, "dense": _dense, "depthwise": _depthwise}
