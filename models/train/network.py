"""A small member of the MobileNetV2 family for 32x32 pictures.

The network is built from MobileNetV2's inverted residuals: a narrow tensor is expanded, filtered by
a 3x3 convolution, and projected back by a 1x1 convolution *without* activation (the linear
bottleneck); blocks of equal shape add their input. While the tensors are narrow, the expansion and
the filter are one dense 3x3 convolution (the "fused" block of MobileNetEdgeTPU and
EfficientNetV2): at this size it learns more per second of CPU time than the depthwise form. The
last blocks use the original depthwise form.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Mean and standard deviation of the training pictures, per channel, on the 0..255 scale.
PIXEL_MEAN = (125.3, 122.9, 113.9)
PIXEL_STD = (63.0, 62.1, 66.7)


@dataclass(frozen=True)
class BlockSpec:
    """One inverted residual: output channels, expansion factor, stride, fused or depthwise."""

    channels: int
    expansion: int
    stride: int
    fused: bool


STEM_CHANNELS = 24
HEAD_CHANNELS = 320
BLOCKS = (
    BlockSpec(40, 4, 2, fused=True),  # 32x32 -> 16x16
    BlockSpec(40, 3, 1, fused=True),
    BlockSpec(80, 4, 2, fused=True),  # 16x16 -> 8x8
    BlockSpec(80, 3, 1, fused=True),
    BlockSpec(80, 3, 1, fused=True),
    BlockSpec(112, 6, 2, fused=False),  # 8x8 -> 4x4
    BlockSpec(112, 4, 1, fused=False),
)


def _convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution and batch normalisation, followed by ReLU unless it is a linear projection."""
    layers: list[nn.Module] = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if active:
        layers.append(nn.ReLU(inplace=True))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    """Expand, filter, project; add the input when the shape is unchanged."""

    def __init__(self, inputs: int, spec: BlockSpec) -> None:
        super().__init__()
        hidden = inputs * spec.expansion
        if spec.fused:
            filters = [_convolution(inputs, hidden, 3, stride=spec.stride)]
        else:
            filters = [
                _convolution(inputs, hidden, 1),
                _convolution(hidden, hidden, 3, stride=spec.stride, groups=hidden),
            ]
        self.layers = nn.Sequential(*filters, _convolution(hidden, spec.channels, 1, active=False))
        self.residual = spec.stride == 1 and inputs == spec.channels

    def forward(self, x: Tensor) -> Tensor:
        """Apply the block to ``[N, C, H, W]``."""
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetCifar(nn.Module):
    """RGB pictures ``[N, 3, H, W]`` on the 0..255 scale to class logits ``[N, classes]``."""

    mean: Tensor
    std: Tensor

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(PIXEL_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(PIXEL_STD).view(1, 3, 1, 1))
        blocks: list[nn.Module] = []
        channels = STEM_CHANNELS
        for spec in BLOCKS:
            blocks.append(InvertedResidual(channels, spec))
            channels = spec.channels
        self.stem = _convolution(3, STEM_CHANNELS, 3)
        self.blocks = nn.Sequential(*blocks)
        self.head = _convolution(channels, HEAD_CHANNELS, 1)
        self.classifier = nn.Linear(HEAD_CHANNELS, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Classify a batch; any height and width that are multiples of 8 will do."""
        x = (x - self.mean) / self.std
        x = self.head(self.blocks(self.stem(x)))
        return self.classifier(x.mean(dim=(2, 3)))
