"""Small PyTorch models."""

from __future__ import annotations

import io

import torch

from kit.models_by_hand import colours_matrix


class Colours(torch.nn.Module):
    """The classifier `colours` of a picture N,C,H,W."""

    def __init__(self) -> None:
        super().__init__()
        self.matrix = torch.nn.Parameter(torch.tensor(colours_matrix()))

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.mean((2, 3)) @ self.matrix


class Sum(torch.nn.Module):
    """Two inputs and two outputs: the sum of the inputs, and the first of them."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return a + b, a.clone()


def scripted(module: torch.nn.Module) -> bytes:
    """As TorchScript."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(module.eval()), buffer)
    return buffer.getvalue()


def exported(module: torch.nn.Module, *inputs: torch.Tensor, free: tuple[int, ...] = ()) -> bytes:
    """As ExportedProgram; the first input's sizes `free` may be any."""
    dims = {axis: torch.export.Dim(f"size{axis}", min=2) for axis in free}
    shapes = (dims, *({} for _ in inputs[1:])) if free else None
    program = torch.export.export(module.eval(), inputs, dynamic_shapes=shapes)
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()
