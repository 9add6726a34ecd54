"""Muon for the dense convolutions, SGD with Nesterov momentum for everything else."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: Tensor, steps: int = 4) -> Tensor:
    """Push all singular values of a matrix towards 1 by Newton-Schulz iteration."""
    a, b, c = NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised, for convolutions followed by batch normalisation.

    Such a convolution's output does not depend on the length of its weights, so the weights are
    kept at a fixed length and the learning rate is the relative size of one step.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update all parameters from their gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                state["momentum"].mul_(group["momentum"]).add_(weight.grad)
                nesterov = weight.grad + group["momentum"] * state["momentum"]
                update = orthogonalise(nesterov.reshape(len(weight), -1))
                update *= len(weight) ** 0.5 / (update.norm() + 1e-7)
                weight.mul_(len(weight) ** 0.5 / weight.norm())
                weight.sub_(update.view_as(weight), alpha=group["lr"])
