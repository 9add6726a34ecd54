"""EfficientNet-Lite: the network, and its weights from a checkpoint as an ONNX file.

The network is that of Tan and Le (EfficientNet, 2019) in its "lite" form: ReLU6, no squeeze and
excitation, stem and head of fixed width. How wide each layer is, and its kernel, is what the
weights say; here stand the order of the layers, their strides and their repetitions.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from wasmlrun.models.convert.checkpoint import Weights, read_checkpoint
from wasmlrun.models.convert.onnx_graph import Graph

_REPEATS = (1, 2, 2, 3, 3, 4, 1)
_STRIDES = (1, 2, 2, 2, 1, 2, 1)
_EPSILON = 1e-3


@dataclass(frozen=True, slots=True)
class EfficientNetLite:
    """One of the family."""

    name: str
    depth: float
    """How often layers are repeated, as a factor; the first and last stage stay as they are."""
    size: int
    """Height and width of the picture in pixels."""

    @property
    def strides(self) -> Sequence[int]:
        """The stride of every block."""
        found: list[int] = []
        for stage, (repeats, stride) in enumerate(zip(_REPEATS, _STRIDES, strict=True)):
            fixed = stage in (0, len(_REPEATS) - 1)
            times = repeats if fixed else ceil(repeats * self.depth)
            found += [stride] + [1] * (times - 1)
        return found

    def to_onnx(self, data: bytes) -> bytes:
        """The ONNX file of a checkpoint: f32 [1, 3, size, size] to f32 [1, classes], logits.

        Raises:
            ValueError: it is no checkpoint, or not of this network.
        """
        weights = read_checkpoint(data)
        builder = _Builder(Graph(self.name), weights)
        try:
            graph = self._build(builder)
        except KeyError as e:
            raise ValueError(f"the checkpoint is not {self.name}'s: it has no {e}") from e
        unused = {name for name in weights if not name.endswith(".num_batches_tracked")}
        unused -= builder.used
        if unused:
            raise ValueError(f"the checkpoint is not {self.name}'s: it also has {min(unused)}")
        return graph.to_bytes()

    def _build(self, net: _Builder) -> Graph:
        picture = net.graph.input("picture", (1, 3, self.size, self.size))
        x = net.convolution("_conv_stem", "_bn0", picture, stride=2)
        for number, stride in enumerate(self.strides):
            x = net.block(f"_blocks.{number}", x, stride)
        x = net.convolution("_conv_head", "_bn1", x)
        x = net.graph.node("GlobalAveragePool", "pool", [x])
        x = net.graph.node("Flatten", "flat", [x])
        x = net.graph.node("Gemm", "scores", [x, *net.constants("_fc", "weight", "bias")], transB=1)
        classes, _ = net.weights["_fc.weight"].shape
        net.graph.output(x, (1, classes))
        return net.graph


class _Builder:
    """Layers as nodes, with the weights of a checkpoint that have their names."""

    def __init__(self, graph: Graph, weights: Mapping[str, Weights]) -> None:
        self.graph = graph
        self.weights = weights
        self.used: set[str] = set()
        self._zero = graph.constant("zero", "f32", (), struct.pack("<f", 0.0))
        self._six = graph.constant("six", "f32", (), struct.pack("<f", 6.0))

    def constants(self, layer: str, *names: str) -> list[str]:
        """The layer's weights, as constants of the graph."""
        found = []
        for name in names:
            full = f"{layer}.{name}"
            value = self.weights[full]
            self.used.add(full)
            found.append(self.graph.constant(full, value.kind, value.shape, value.data))
        return found

    def convolution(
        self, layer: str, norm: str, x: str, *, stride: int = 1, bounded: bool = True
    ) -> str:
        """Convolution without a bias, normalisation and, where `bounded`, ReLU6."""
        width, inputs, *kernel = self.weights[f"{layer}.weight"].shape
        x = self.graph.node(
            "Conv",
            layer,
            [x, *self.constants(layer, "weight")],
            # a depthwise layer has one input channel a filter
            group=width if inputs == 1 else 1,
            kernel_shape=kernel,
            strides=(stride, stride),
            # as in TensorFlow, where the weights come from
            auto_pad="SAME_UPPER",
        )
        scale = self.constants(norm, "weight", "bias", "running_mean", "running_var")
        x = self.graph.node("BatchNormalization", norm, [x, *scale], epsilon=_EPSILON)
        if not bounded:
            return x
        return self.graph.node("Clip", f"{norm}.relu6", [x, self._zero, self._six])

    def block(self, name: str, x: str, stride: int) -> str:
        """An inverted bottleneck; the input is added where it has the output's shape."""
        before = x
        first = f"{name}._depthwise_conv"
        if f"{name}._expand_conv.weight" in self.weights:
            first = f"{name}._expand_conv"
            x = self.convolution(first, f"{name}._bn0", x)
        x = self.convolution(f"{name}._depthwise_conv", f"{name}._bn1", x, stride=stride)
        x = self.convolution(f"{name}._project_conv", f"{name}._bn2", x, bounded=False)
        expand, project = (
            self.weights[f"{first}.weight"],
            self.weights[f"{name}._project_conv.weight"],
        )
        width = expand.shape[1] if first.endswith("_expand_conv") else expand.shape[0]
        if stride == 1 and width == project.shape[0]:
            x = self.graph.node("Add", f"{name}.add", [x, before])
        return x


LITE0 = EfficientNetLite("efficientnet-lite0", 1.0, 224)
LITE1 = EfficientNetLite("efficientnet-lite1", 1.1, 240)
LITE2 = EfficientNetLite("efficientnet-lite2", 1.2, 260)
