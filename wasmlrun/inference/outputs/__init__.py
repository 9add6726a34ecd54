"""Kinds of output, a file or folder each; this is the table of them."""

from __future__ import annotations

from importlib import import_module

from wasmlrun.inference.kind import OutputKind

OUTPUTS = {
    "labels": "the highest scores, with their labels",
    "detect": "boxes around what was found; -o draws them on the picture",
    "segment": "which pixels belong to what; -o writes the mask, or the picture with it",
    "image": "a picture; -o writes it",
    "embed": "a vector; -o writes it as .npy or .json",
    "text": "a text",
    "audio": "sound; -o writes it as WAV",
    "tensor": "the numbers as they are; -o writes .npy, or .npz of several outputs",
}


def kind_of(name: str) -> OutputKind:
    """The kind of this name, one of `OUTPUTS`."""
    found = import_module(f"{__name__}.{name}").KIND
    assert isinstance(found, OutputKind)
    return found
