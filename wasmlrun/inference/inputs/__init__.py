"""Kinds of input, a file each; this is the table of them."""

from __future__ import annotations

from importlib import import_module

from wasmlrun.inference.kind import InputKind

INPUTS = {
    "picture": "an image file, as the model's picture",
    "tensor": "numpy's .npy, or .npz for several inputs by name",
    "bytes": "the first and last bytes of any file",
    "text": "a text in UTF-8, as numbers of the words and pieces of words of a vocabulary",
}


def kind_of(name: str) -> InputKind:
    """The kind of this name, one of `INPUTS`."""
    found = import_module(f"{__name__}.{name}").KIND
    assert isinstance(found, InputKind)
    return found
