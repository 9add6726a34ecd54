"""The weights of an exported file, put back into a network.

Exported files have no batch normalisation left: it was folded into the convolutions. Here every
normalisation gets the offset that gives the same output, and does nothing else.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from network import MobileNetCifar
from onnx import numpy_helper
from torch import Tensor, nn


def load_exported(path: Path) -> MobileNetCifar:
    """Read an ONNX file that ``export.py`` wrote; for inference, not to train on as it is."""
    weights = read_initialisers(path)
    network = MobileNetCifar(len(weights["network.classifier.bias"])).eval()
    with torch.no_grad():
        network.classifier.weight.copy_(weights["network.classifier.weight"])
        network.classifier.bias.copy_(weights["network.classifier.bias"])
        for name, module in network.named_modules():
            if isinstance(module, nn.Sequential) and isinstance(module[0], nn.Conv2d):
                module[0].weight.copy_(weights[f"network.{name}.0.weight"])
                norm = module[1]
                norm.bias.copy_(weights[f"network.{name}.0.bias"])
                norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    return network


def read_initialisers(path: Path) -> dict[str, Tensor]:
    """Read all stored tensors as float32 under the names of the network's parameters."""
    model = onnx.load(path)
    return {
        tensor.name.removesuffix(".half"): torch.from_numpy(
            numpy_helper.to_array(tensor).copy()
        ).float()
        for tensor in model.graph.initializer
    }
