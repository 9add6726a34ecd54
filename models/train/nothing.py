"""Add the answer "none of the classes" to a trained network: ``nothing.py MODEL ARCHIVE``.

The last layer gets one more output, whose weights are the only ones that are fitted, by logistic
regression: against the ten other outputs it has to win on ``outliers.py``'s pictures and to lose on
the training pictures. How the ten compare with one another does not change, so neither does the
first label, and that is all the training it takes: minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from augment import augment
from data import CLASSES, Split, load_archive
from export import load_averaged
from network import MobileNetCifar
from outliers import make_outliers
from torch import Tensor, nn
from torch.nn import functional
from weights import load_exported

PICTURES, BATCH = 15_000, 250
STRENGTH = 0.5
DECAY = 1e-5
STEPS = 200


@torch.inference_mode()
def features(network: MobileNetCifar, images: Tensor) -> Tensor:
    """What the last layer sees of ``[N, 3, H, W]`` pictures: ``[N, HEAD_CHANNELS]``."""
    x = (images - network.mean) / network.std
    return network.head(network.blocks(network.stem(x))).mean(dim=(2, 3))


def collect(network: MobileNetCifar, data: Split) -> tuple[Tensor, Tensor]:
    """Features of augmented pictures, and of half as many outliers made from them."""
    known, nothing = [], []
    for rows in torch.randperm(len(data))[:PICTURES].split(BATCH):
        images, labels = data.images[rows].float(), data.labels[rows]
        outliers = make_outliers(images, labels, BATCH // 2)
        known.append(features(network, augment(images, 32, STRENGTH)))
        nothing.append(features(network, augment(outliers, 32, STRENGTH)))
    return torch.cat(known).clone(), torch.cat(nothing).clone()


def fit(layer: nn.Linear, known: Tensor, nothing: Tensor) -> tuple[Tensor, Tensor]:
    """The weights ``[HEAD_CHANNELS]`` and the offset ``[1]`` of the new output."""
    x = torch.cat([known, nothing])
    wanted = torch.cat([torch.zeros(len(known)), torch.ones(len(nothing))])
    with torch.no_grad():
        rest = layer(x).logsumexp(dim=1)
    weight = torch.zeros(x.shape[1], requires_grad=True)
    offset = torch.zeros(1, requires_grad=True)
    optimiser = torch.optim.LBFGS([weight, offset], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        logits = x @ weight + offset - rest
        value = functional.binary_cross_entropy_with_logits(logits, wanted)
        value = value + DECAY * weight.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return weight.detach(), offset.detach()


def extend(network: MobileNetCifar, data: Split) -> MobileNetCifar:
    """The same network with an eleventh output."""
    old = network.classifier
    if old.out_features != len(CLASSES):
        old = nn.Linear(old.in_features, len(CLASSES))
        old.weight.data = network.classifier.weight.data[: len(CLASSES)]
        old.bias.data = network.classifier.bias.data[: len(CLASSES)]
    weight, offset = fit(old, *collect(network, data))
    new = nn.Linear(old.in_features, len(CLASSES) + 1)
    new.weight.data = torch.cat([old.weight.data, weight[None]])
    new.bias.data = torch.cat([old.bias.data, offset])
    network.classifier = new
    return network


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Add the answer "none of the classes".')
    parser.add_argument("model", type=Path, help="checkpoint.pt, or an exported ONNX file")
    parser.add_argument("archive", type=Path, help="cifar10.tar.gz with JPEG files")
    parser.add_argument("--out", type=Path, default=Path("run/complete.pt"))
    options = parser.parse_args()
    torch.manual_seed(1)
    read = load_exported if options.model.suffix == ".onnx" else load_averaged
    network = extend(read(options.model), load_archive(options.archive)[0])
    state = {f"module.{name}": value for name, value in network.state_dict().items()}
    torch.save({"averaged": state}, options.out)


if __name__ == "__main__":
    main()
