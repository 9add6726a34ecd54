"""No two tensors that are needed at once share a byte."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from wasmlrun.tiny.arena import ALIGNMENT, plan
from wasmlrun.tiny.graph import Graph, Node, Value

OPERATIONS = ("conv", "add", "reshape", "unary", "concat")


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """A chain with steps back: every node reads one or two tensors that were made before."""
    graph = Graph(inputs=["0"])
    graph.values["0"] = Value("0", (draw(st.integers(1, 400)),), "i8")
    for number in range(1, draw(st.integers(2, 14))):
        op = draw(st.sampled_from(OPERATIONS))
        read = draw(st.lists(st.integers(0, number - 1), min_size=1, max_size=2))
        first = graph.values[str(read[0])]
        same = op != "conv" and op != "concat"
        count = first.count if same else draw(st.integers(1, 400))
        name = str(number)
        graph.values[name] = Value(name, (count,), "i8")
        graph.nodes.append(Node(op, name, [str(n) for n in read], [name]))
    graph.outputs = [graph.nodes[-1].outputs[0]]
    return graph


@settings(max_examples=200, deadline=None)
@given(graphs())
def test_what_is_needed_together_lies_apart(graph: Graph) -> None:
    arena = plan(graph)
    assert arena.least <= arena.size
    # what each byte holds: a tensor may be written only over what nobody reads any more
    needed = dict.fromkeys(graph.values, -1)
    for step, node in enumerate(graph.nodes):
        for name in node.inputs:
            needed[name] = step
    needed[graph.outputs[0]] = len(graph.nodes)
    holder: dict[int, str] = {}

    def put(name: str) -> None:
        at = arena.offsets[name]
        assert at % ALIGNMENT == 0
        assert at + graph.values[name].size <= arena.size
        for byte in range(at, at + graph.values[name].size):
            holder[byte] = name

    def intact(name: str) -> bool:
        at = arena.offsets[name]
        return all(holder[byte] == name for byte in range(at, at + graph.values[name].size))

    put("0")
    renamed: dict[str, str] = {"0": "0"}
    for step, node in enumerate(graph.nodes):
        for name in node.inputs:
            assert intact(renamed[name])
        out = node.outputs[0]
        if node.op == "reshape" and arena.offsets[out] == arena.offsets[node.inputs[0]]:
            renamed[out] = renamed[node.inputs[0]]  # the same bytes under another name
            continue
        for other, last in needed.items():
            alive = other in renamed and last > step and renamed[other] not in (out,)
            if alive and renamed[other] in holder.values():
                low, high = arena.offsets[out], arena.offsets[out] + graph.values[out].size
                start = arena.offsets[renamed[other]]
                end = start + graph.values[renamed[other]].size
                assert end <= low or high <= start, (out, other)
        put(out)
        renamed[out] = out
    assert intact(renamed[graph.outputs[0]])
