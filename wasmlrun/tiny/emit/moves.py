"""C for what moves numbers and computes none: slices, joins, padding, other shapes, variables."""

from __future__ import annotations

from collections.abc import Sequence

from wasmlrun.tiny.emit.writer import Emitter, Writer, literal
from wasmlrun.tiny.graph import Node, row_major


def _moved(
    writer: Writer,
    name: str,
    source: str,
    out: str,
    sizes: Sequence[int],
    from_steps: Sequence[int],
    to_steps: Sequence[int],
    starts: tuple[int, int] = (0, 0),
) -> None:
    missing = 5 - len(sizes)
    fields = {
        "size": [1] * missing + list(sizes),
        "from_step": [0] * missing + list(from_steps),
        "to_step": [0] * missing + list(to_steps),
        "from_start": starts[0],
        "to_start": starts[1],
    }
    width = 4 if writer.graph.value(out).dtype == "f32" else 1
    layer = writer.structure("move", name, fields)
    writer.calls.append(f"run_move_{width}({layer}, {writer.at(source)}, {writer.at(out)});")


def _transpose(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps = row_major(source.shape)
    from_steps = [steps[axis] for axis in node["order"]]
    name = f"transpose_{number}"
    _moved(writer, name, source.name, out.name, out.shape, from_steps, row_major(out.shape))


def _slice(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps, sizes = row_major(source.shape), node["sizes"]
    start = sum(begin * step for begin, step in zip(node["begin"], steps, strict=True))
    from_steps = [step * times for step, times in zip(steps, node["step"], strict=True)]
    to_steps = row_major(tuple(sizes))
    name = f"slice_{number}"
    _moved(writer, name, source.name, out.name, sizes, from_steps, to_steps, (start, 0))


def _concat(writer: Writer, node: Node, number: int) -> None:
    out, axis, at = writer.graph.value(node.outputs[0]), node["axis"], 0
    steps = row_major(out.shape)
    for index, part in enumerate(node.inputs):
        shape = writer.graph.value(part).shape
        name = f"concat_{number}_{index}"
        starts = (0, at * steps[axis])
        _moved(writer, name, part, out.name, shape, row_major(shape), steps, starts)
        at += shape[axis]


def _pad(writer: Writer, node: Node, number: int) -> None:
    source, out = (writer.graph.value(n) for n in (node.inputs[0], node.outputs[0]))
    steps = row_major(out.shape)
    value = node["value"]
    if value is None:
        value = out.scaling.zero[0] if out.quant is not None else 0.0
    target = writer.at(out.name)
    if out.dtype == "f32":
        writer.calls.append(f"run_fill_4({literal(value)}, {out.count}, {target});")
    else:
        writer.calls.append(f"run_fill_1({int(value)}, {out.count}, {target});")
    start = sum(before * step for (before, _), step in zip(node["pads"], steps, strict=True))
    name = f"pad_{number}"
    from_steps = row_major(source.shape)
    _moved(writer, name, source.name, out.name, source.shape, from_steps, steps, (0, start))


def _nothing(writer: Writer, node: Node, number: int) -> None:
    """Another shape of the same bytes; a copy where they could not be shared."""
    source, out = writer.at(node.inputs[0]), writer.at(node.outputs[0])
    if source != out:
        writer.calls.append(
            f"copy_bytes({out}, {source}, {writer.graph.value(node.outputs[0]).size});"
        )


def _variable(writer: Writer, node: Node, number: int) -> None:
    at = writer.state[node["variable"]]
    size = writer.graph.variables[node["variable"]].size
    if node.op == "read_variable":
        writer.calls.append(f"copy_bytes({writer.at(node.outputs[0])}, state + {at}, {size});")
    else:
        writer.calls.append(f"copy_bytes(state + {at}, {writer.at(node.inputs[0])}, {size});")


EMITTERS: dict[str, Emitter] = {
    "transpose": _transpose,
    "slice": _slice,
    "concat": _concat,
    "pad": _pad,
    "reshape": _nothing,
    "identity": _nothing,
    "read_variable": _variable,
    "assign_variable": _variable,
}
