"""Readable C for a graph: one structure and one call for each operation.

What the calls do is in `kernels/`; the constants go into a file of their own, which the C embeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from wasmlrun.tiny.arena import Arena
from wasmlrun.tiny.emit import elementwise, moves, products, reductions
from wasmlrun.tiny.emit.writer import Emitter, Writer, comment
from wasmlrun.tiny.graph import Graph, Node

_EMITTERS: dict[str, Emitter] = {
    **products.EMITTERS,
    **elementwise.EMITTERS,
    **reductions.EMITTERS,
    **moves.EMITTERS,
}


@dataclass(slots=True)
class Source:
    """Everything that the compiler needs beside the kernels."""

    layers: str
    """C: the structures, and the function that calls the kernels in turn."""
    constants: bytes
    scratch: int
    """Bytes of the largest step's own memory."""
    expanded: int
    """Bytes of weights that are stored as halves, once they are floats."""
    state: int
    """Bytes that live from one inference to the next."""


def write(graph: Graph, arena: Arena) -> Source:
    """The C of a graph that `support` found nothing wrong with."""
    writer = Writer(graph, arena)
    _place_variables(writer)
    for number, node in enumerate(graph.nodes):
        before = len(writer.calls)
        _EMITTERS[node.op](writer, node, number)
        if len(writer.calls) > before:
            about = f"{number}: {comment(node.name)}{_shape_text(graph, node)}"
            writer.calls[before] = f"/* {about} */\n  {writer.calls[before]}"
    lines = [*writer.declarations, "", "static void prepare_layers(void) {"]
    lines += [f"  {line}" for line in writer.prepared]
    lines += ["}", "", "static void run_layers(void) {"]
    lines += [f"  {line}" for line in writer.calls]
    lines += ["}", ""]
    return Source(
        "\n".join(lines),
        bytes(writer.constants.content),
        writer.scratch,
        writer.expanded,
        writer.state_size,
    )


def _place_variables(writer: Writer) -> None:
    for name, variable in writer.graph.variables.items():
        writer.state[name] = writer.state_size
        writer.state_size += -(-variable.size // 16) * 16
        assert variable.data is not None
        at = writer.constants.add(variable.data)
        writer.prepared.append(
            f"copy_bytes(state + {writer.state[name]}, constants + {at}, {variable.size}); "
            f"/* {comment(name)} */"
        )


def _shape_text(graph: Graph, node: Node) -> str:
    if not node.outputs:
        return ""
    return ", " + "×".join(map(str, graph.value(node.outputs[0]).shape))
