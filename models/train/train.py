"""Train the default model on CIFAR-10: ``torchrun --nproc-per-node 2 train.py cifar10.tar.gz``.

One process is enough (``python train.py cifar10.tar.gz``), and is what a GPU wants. On a CPU, one
single-threaded process per core is faster than one process with several threads: the processes
split every batch and meet once per step, to average their gradients.

The run writes ``checkpoint.pt`` after every epoch and continues from it when started again.
Accuracy is that of the moving average of the weights, which is also what gets exported. While the
learning rate is high this average is far from any single set of weights and does badly; it takes
the lead as the rate falls.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from augment import augment
from data import Split, load_archive
from network import MobileNetCifar
from optimiser import Muon
from plot import plot_history
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

MOMENTUM = 0.9


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the outcome of a run besides the network and the augmentation."""

    seed: int = 1
    batch: int = 256
    muon_rate: float = 0.05
    muon_momentum: float = 0.8
    sgd_rate: float = 0.1
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    average: float = 0.995
    # Learning rate relative to its peak: corners of a broken line over the epochs.
    rates: tuple[tuple[float, float], ...] = (
        (0, 0.05),
        (1, 1),
        (5, 1),
        (10, 0.69),
        (12, 0.6133),
        (16, 0.36),
        (20, 0.25),
        (27, 0.09),
        (28, 0.0771),
        (30, 0.04626),
        (31, 0.034695),
        (36, 0),
    )
    # Side of the training pictures from an epoch on: the first epochs are cheaper on smaller ones.
    sizes: tuple[tuple[int, int], ...] = ((0, 24), (14, 32))
    # Strength of the augmentation from an epoch on: the last epochs look at plainer pictures.
    strengths: tuple[tuple[int, float], ...] = ((0, 1.0), (26, 0.4))

    @property
    def epochs(self) -> int:
        """The run ends where the learning rate does."""
        return int(self.rates[-1][0])

    def rate(self, epoch: float) -> float:
        """Learning rate at a fractional epoch, relative to its peak."""
        for (start, high), (end, low) in pairwise(self.rates):
            if epoch <= end:
                return high + (low - high) * (epoch - start) / (end - start)
        return 0.0

    def size(self, epoch: int) -> int:
        """Side of the training pictures in an epoch, which counts from 0."""
        return max(step for step in self.sizes if step[0] <= epoch)[1]

    def strength(self, epoch: int) -> float:
        """Strength of the augmentation in an epoch, which counts from 0."""
        return max(step for step in self.strengths if step[0] <= epoch)[1]


@dataclass(frozen=True)
class Team:
    """The processes that share the work; a lone process is a team of one."""

    rank: int
    size: int

    @classmethod
    def join(cls) -> Team:
        """Find the other processes that ``torchrun`` started, if it did."""
        if not dist.is_torchelastic_launched():
            return cls(0, 1)
        dist.init_process_group("gloo")
        return cls(dist.get_rank(), dist.get_world_size())

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over the processes."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def average_gradients(self, model: nn.Module) -> None:
        """Average the gradients of all parameters."""
        self.average([weight.grad for weight in model.parameters() if weight.grad is not None])

    def average_statistics(self, model: nn.Module) -> None:
        """Average the running statistics of batch normalisation."""
        self.average([buffer for buffer in model.buffers() if buffer.is_floating_point()])


@dataclass
class Run:
    """The state of a run, as far as it must survive a restart."""

    model: nn.Module
    averaged: AveragedModel
    optimisers: list[torch.optim.Optimizer]
    epoch: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write the checkpoint under a temporary name, then rename it."""
        state = {
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "epoch": self.epoch,
            "history": self.history,
        }
        temporary = path.with_suffix(".tmp")
        torch.save(state, temporary)
        os.replace(temporary, path)

    def load(self, path: Path, device: torch.device) -> None:
        """Continue from a checkpoint."""
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.epoch = state["epoch"]
        self.history = state["history"]


def build_optimisers(model: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for dense convolutions; SGD for the rest, with weight decay on weights only."""
    dense: list[nn.Parameter] = []
    weights: list[nn.Parameter] = []
    vectors: list[nn.Parameter] = []
    for parameter in model.parameters():
        if parameter.ndim == 4 and parameter.shape[1] > 1:
            dense.append(parameter)
        elif parameter.ndim > 1:
            weights.append(parameter)
        else:
            vectors.append(parameter)
    groups = [{"params": weights, "weight_decay": recipe.weight_decay}, {"params": vectors}]
    optimisers: list[torch.optim.Optimizer] = [
        Muon(dense, recipe.muon_rate, recipe.muon_momentum),
        torch.optim.SGD(groups, recipe.sgd_rate, MOMENTUM, nesterov=True),
    ]
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            group["peak"] = group["lr"]
    return optimisers


def channels_last(images: Tensor) -> Tensor:
    """Return the images in the memory layout in which convolutions run fastest."""
    return images.contiguous(memory_format=torch.channels_last)


def train_epoch(run: Run, data: Split, recipe: Recipe, team: Team) -> float:
    """Train for one epoch and return the mean loss; the seed and the epoch decide all chances."""
    epoch_seed = recipe.seed * 1000 + run.epoch
    torch.manual_seed(epoch_seed)
    batches = len(data) // recipe.batch
    order = torch.randperm(len(data))[: batches * recipe.batch].to(data.labels.device)
    torch.manual_seed(epoch_seed + 1_000_000 * team.rank)
    run.model.train()
    size, strength = recipe.size(run.epoch), recipe.strength(run.epoch)
    total = 0.0
    quiet = None if team.rank == 0 else True  # None: only where the output is a terminal
    progress = tqdm(order.split(recipe.batch), desc=f"epoch {run.epoch + 1}", disable=quiet)
    for number, batch in enumerate(progress):
        chosen = batch[team.rank :: team.size]
        rate = recipe.rate(run.epoch + number / batches)
        for optimiser in run.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate * group["peak"]
        images = augment(data.images[chosen].float(), size, strength)
        logits = run.model(channels_last(images))
        loss = functional.cross_entropy(
            logits, data.labels[chosen], label_smoothing=recipe.label_smoothing
        )
        run.model.zero_grad()
        loss.backward()
        team.average_gradients(run.model)
        for optimiser in run.optimisers:
            optimiser.step()
        run.averaged.update_parameters(run.model)
        total += loss.item()
        progress.set_postfix(loss=f"{loss.item():.3f}")
    team.average_statistics(run.model)
    team.average_statistics(run.averaged)
    run.epoch += 1
    return total / batches


@torch.inference_mode()
def evaluate(model: nn.Module, data: Split, team: Team) -> float:
    """Top-1 accuracy on pictures that the processes share among themselves."""
    model.eval()
    images, labels = data.images[team.rank :: team.size], data.labels[team.rank :: team.size]
    right = torch.zeros(1, device=labels.device)
    for some, truth in zip(images.split(250), labels.split(250), strict=True):
        right += (model(channels_last(some.float())).argmax(1) == truth).sum()
    team.average([right])
    return right.item() * team.size / len(data)


def train(archive: Path, out: Path, recipe: Recipe, team: Team, device: torch.device) -> None:
    """Run the recipe from the start or from the checkpoint in ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    train_data, test_data = (split.to(device) for split in load_archive(archive))
    torch.manual_seed(recipe.seed)
    model = MobileNetCifar().to(device, memory_format=torch.channels_last)
    averaged = AveragedModel(
        model, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True
    )
    run = Run(model, averaged, build_optimisers(model, recipe))
    checkpoint = out / "checkpoint.pt"
    if checkpoint.exists():
        run.load(checkpoint, device)
    if team.rank == 0:
        print(f"{run.epoch} of {recipe.epochs} epochs done so far", flush=True)
        (out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")
    while run.epoch < recipe.epochs:
        started = time.perf_counter()
        loss = train_epoch(run, train_data, recipe, team)
        seconds = time.perf_counter() - started
        accuracy = evaluate(run.averaged, test_data, team)
        run.history.append({"epoch": run.epoch, "loss": loss, "accuracy": accuracy})
        if team.rank == 0:
            run.save(checkpoint)
            plot_history(run.history, out / "learning-curve.png")
            left = (recipe.epochs - run.epoch) * seconds / 60
            print(
                f"epoch {run.epoch}/{recipe.epochs}  loss {loss:.4f}  test {accuracy:.2%}"
                f"  {len(train_data) / seconds:.0f} img/s  about {left:.0f} min left",
                flush=True,
            )


def main() -> None:
    """Read the command line."""
    defaults = Recipe()
    parser = argparse.ArgumentParser(description="Train the default model on CIFAR-10.")
    parser.add_argument("archive", type=Path, help="cifar10.tar.gz with JPEG files")
    parser.add_argument("--out", type=Path, default=Path("run"), help="folder for the results")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    options = parser.parse_args()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train(options.archive, options.out, Recipe(options.seed), Team.join(), device)


if __name__ == "__main__":
    main()
