"""Which operations can be packed. Everything that cannot is told at once, before any work."""

from __future__ import annotations

from dataclasses import dataclass

from wasmlrun.support.errors import BadModel
from wasmlrun.tiny.graph import Graph, Node
from wasmlrun.tiny.quantise import real_function

MAX_TAPS = 64
MAX_RANK = 5
MAX_SIZE = 1 << 30
_BYTES, _FLOATS = "i8", "f32"
_BOTH = {_BYTES, _FLOATS}
# operation -> types of the numbers that it computes with; unsigned bytes are signed by then
OPERATORS: dict[str, set[str]] = {
    "conv": _BOTH,
    "depthwise": _BOTH,
    "dense": _BOTH,
    "add": _BOTH,
    "sub": _BOTH,
    "mul": _BOTH,
    "div": {_FLOATS},
    "maximum": {_FLOATS},
    "minimum": {_FLOATS},
    "unary": _BOTH,
    "scale_channels": {_FLOATS},
    "max_pool": _BOTH,
    "average_pool": _BOTH,
    "mean": _BOTH,
    "softmax": _BOTH,
    "concat": _BOTH,
    "pad": _BOTH,
    "slice": {*_BOTH, "u8"},
    "transpose": {*_BOTH, "u8"},
    "reshape": {*_BOTH, "u8"},
    "identity": {*_BOTH, "u8"},
    "quantize": _BOTH,
    "dequantize": {_BYTES},
    "cast": {*_BOTH, "u8"},
    "flip_sign": {_BYTES, "u8"},
    "read_variable": _BOTH,
    "assign_variable": _BOTH,
}
# operations whose result has another type
_CONVERTING = ("quantize", "dequantize", "cast", "flip_sign", "identity", "reshape")
_FLOAT_KINDS = {
    *("relu", "relu6", "relu_n1_to_1", "clip", "sigmoid", "tanh", "exp", "sqrt", "rsqrt", "abs"),
    *("neg", "square", "elu", "leaky_relu", "hard_sigmoid", "hard_swish", "gelu"),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One node that cannot be packed."""

    op: str
    node: str
    why: str

    def __str__(self) -> str:
        return f"{self.op} ({self.node}): {self.why}"


def problems(graph: Graph) -> list[Problem]:
    """What cannot be packed, in the order of the graph; nothing else is wrong with it."""
    found = []
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        counts = f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
        found.append(Problem("the model", "its ends", f"{counts}; one of each is packed"))
    for name in graph.inputs:
        shape = graph.value(name).shape
        if any(size < 1 for size in shape):
            # nothing that follows is fixed either
            return [Problem("the input", name, f"its size is not fixed: {list(shape)}")]
    for node in graph.nodes:
        why = _why_not(graph, node)
        if why is not None:
            found.append(Problem(node.op, node.name, why))
    return found


def require(graph: Graph, shown: str) -> None:
    """Raise BadModel with every node that cannot be packed."""
    found = problems(graph)
    if found:
        listed = "\n".join(f"  {problem}" for problem in found)
        raise BadModel(
            f"model {shown} has {len(found)} operation{'s' if len(found) > 1 else ''} that "
            f"cannot be packed:\n{listed}",
            "run it with WASI-NN: wasmlrun classify IMAGE --model " + shown,
        )


def _why_not(graph: Graph, node: Node) -> str | None:
    types = OPERATORS.get(node.op)
    if types is None:
        return "there is no kernel for it"
    for name in (*node.inputs[:1], *node.outputs[:1]):
        value = graph.value(name)
        if any(size < 1 for size in value.shape):
            return f"the size of {name} is not fixed: {list(value.shape)}"
        if value.size > MAX_SIZE:
            return f"{name} has {value.size} bytes, more than {MAX_SIZE}"
    source = graph.value((node.inputs or node.outputs)[0])
    if source.dtype not in types and not (node.op == "cast" and source.dtype == "u8"):
        return f"there is no kernel for numbers of type {source.dtype}"
    if source.dtype == _BYTES and source.quant is None and node.op not in ("cast", "identity"):
        return "its bytes have no scale"
    if node.outputs and node.op not in _CONVERTING:
        out = graph.value(node.outputs[0])
        if out.dtype != source.dtype:
            return f"it makes {out.dtype} of {source.dtype}"
        if out.dtype == _BYTES and out.quant is None:
            return "its result has no scale"
    return _details(graph, node, source.dtype)


def _details(graph: Graph, node: Node, dtype: str) -> str | None:
    if node.op in ("conv", "depthwise", "dense"):
        return _products(graph, node, dtype)
    activation = node.attributes.get("activation", "none")
    if activation in ("tanh", "sign_bit"):
        return f"a fused {activation}"
    if node.op == "unary":
        kind = node["kind"]
        if dtype == _FLOATS and kind not in _FLOAT_KINDS:
            return f"no kernel computes {kind}"
        if dtype == _BYTES:
            try:
                real_function(kind, 0.0, 0.0)
            except KeyError:
                return f"{kind} of bytes"
    if node.op in ("add", "sub", "mul", "div", "maximum", "minimum"):
        if len(graph.value(node.outputs[0]).shape) > 4:
            return "more than four dimensions"
        if any(graph.value(name).dtype != dtype for name in node.inputs):
            return "operands of two types"
    if node.op == "mean":
        axes = node["axes"]
        if axes != list(range(axes[0], axes[0] + len(axes))):
            return f"a mean over axes {axes} that are not neighbours"
    if node.op in ("concat", "pad", "slice", "transpose"):
        rank = len(graph.value(node.outputs[0]).shape)
        if rank > MAX_RANK:
            return f"{rank} dimensions, more than {MAX_RANK}"
    if node.op == "concat" and activation != "none":
        return f"a fused {activation}"
    if node.op == "softmax" and node["axis"] not in (
        -1,
        len(graph.value(node.inputs[0]).shape) - 1,
    ):
        return "over another axis than the last"
    if node.op == "cast":
        target = graph.value(node.outputs[0]).dtype
        if target != _FLOATS and target != dtype:
            return f"from {dtype} to {target}"
    return None


def _products(graph: Graph, node: Node, dtype: str) -> str | None:
    source, out = graph.value(node.inputs[0]), graph.value(node.outputs[0])
    if not graph.constant(node.inputs[1]):
        return "its weights are computed"
    weights = graph.value(node.inputs[1])
    if len(node.inputs) > 2 and node.inputs[2] and not graph.constant(node.inputs[2]):
        return "its bias is computed"
    if node["activation"] in ("tanh", "sign_bit"):
        return f"a fused {node['activation']}"
    if weights.dtype != dtype and not (dtype == _BYTES and weights.dtype == "u8"):
        return f"weights of type {weights.dtype} for inputs of type {dtype}"
    if out.dtype != dtype:
        return f"an output of type {out.dtype} for inputs of type {dtype}"
    if dtype == _BYTES:
        if weights.quant is None or out.quant is None:
            return "no scale"
        if weights.quant.per_channel and len(set(weights.quant.zero)) > 1:
            return "zero points of each channel"
    if node.op == "dense":
        return None
    if len(source.shape) != 4:
        return "no picture of four dimensions"
    if node["kernel"][0] * node["kernel"][1] > MAX_TAPS and node.op == "depthwise":
        return f"a window of more than {MAX_TAPS} taps"
    channels = source.shape[3]
    if node.op == "depthwise" and out.shape[3] != channels and channels != 1:
        return f"{out.shape[3]} outputs of {channels} channels"
    if node.op == "conv" and weights.shape[3] != channels:
        return f"groups of {weights.shape[3]} channels out of {channels}"
    return None
