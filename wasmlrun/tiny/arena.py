"""Where each tensor lies while it is needed: planned once, before anything runs.

The largest tensors get their place first, each the lowest that is free for as long as it lives.
Tensors that are only another shape of one share its bytes, and so do results that may overwrite
an operand that nobody needs again.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wasmlrun.tiny.graph import Graph, Node

ALIGNMENT = 16
_SAME_BYTES = ("reshape", "identity")
_IN_PLACE = ("add", "sub", "mul", "div", "maximum", "minimum", "unary", "quantize", "softmax")


@dataclass(slots=True)
class Block:
    """Some bytes of the arena, and the steps between which they are taken."""

    names: list[str]
    size: int
    first: int
    last: int
    at: int = 0


@dataclass(slots=True)
class Arena:
    """The plan: offsets of tensors, and bytes in all."""

    size: int = 0
    offsets: dict[str, int] = field(default_factory=dict)
    blocks: list[Block] = field(default_factory=list)

    @property
    def least(self) -> int:
        """Bytes that are in use at the busiest step: no plan can do with less."""
        steps = {block.first for block in self.blocks}
        return max(sum(b.size for b in self.blocks if b.first <= s <= b.last) for s in steps)


def plan(graph: Graph) -> Arena:
    """Lay out the tensors that are computed."""
    arena = Arena()
    last_use = _last_uses(graph)
    owner: dict[str, Block] = {}
    for name in graph.inputs:
        owner[name] = Block([name], _aligned(graph.value(name).size), -1, last_use.get(name, -1))
    for step, node in enumerate(graph.nodes):
        for name in node.outputs:
            shared = _shared(graph, node, step, owner)
            size, last = _aligned(graph.value(name).size), last_use.get(name, step)
            if shared is not None:
                shared.names.append(name)
                shared.last = max(shared.last, last)
                owner[name] = shared
            else:
                owner[name] = Block([name], size, step, last)
    arena.blocks = list({id(block): block for block in owner.values()}.values())
    placed: list[Block] = []
    for block in sorted(arena.blocks, key=lambda b: (-b.size, b.first)):
        block.at = _lowest_place(block, placed)
        placed.append(block)
        arena.size = max(arena.size, block.at + block.size)
        arena.offsets.update(dict.fromkeys(block.names, block.at))
    return arena


def _last_uses(graph: Graph) -> dict[str, int]:
    found: dict[str, int] = {}
    for step, node in enumerate(graph.nodes):
        found.update(dict.fromkeys(node.inputs, step))
    # the answer is read after the last step
    found.update(dict.fromkeys(graph.outputs, len(graph.nodes)))
    return found


def _shared(graph: Graph, node: Node, step: int, owner: dict[str, Block]) -> Block | None:
    """The operand whose bytes the result may have."""
    if node.op not in (*_SAME_BYTES, *_IN_PLACE, "flip_sign"):
        return None
    for name in node.inputs:
        block = owner.get(name)
        if block is None or graph.value(name).size != graph.value(node.outputs[0]).size:
            continue
        # what shares a shape only may live on with it; what is overwritten must not be needed
        if node.op in _SAME_BYTES or block.last <= step:
            return block
    return None


def _lowest_place(block: Block, placed: list[Block]) -> int:
    beside = [p for p in placed if p.first <= block.last and block.first <= p.last]
    at = 0
    for other in sorted(beside, key=lambda p: p.at):
        if at + block.size <= other.at:
            break
        at = max(at, other.at + other.size)
    return at


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
