"""What a package holds becomes what is kept: a checkpoint an ONNX file, a list of names labels.

A conversion is a pure function of bytes: the same on every machine, so that its result has a
digest in the catalogue. None of them runs anything that was downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Final

from wasmlrun.models.convert import (
    dictionary,
    efficientnet_lite,
    label_list,
    onnx_metadata,
    transposed,
)

Conversion = Callable[[bytes], bytes]
"""From a file's bytes to those that are kept. Raises ValueError for what it cannot read."""


def _later(module: str, name: str) -> Conversion:
    """A conversion whose module is imported when it is used: it needs numpy."""

    def convert(data: bytes) -> bytes:
        conversion: Conversion = getattr(import_module(f"{__name__}.{module}"), name)
        return conversion(data)

    return convert


CONVERSIONS: Final[Mapping[str, Conversion]] = {
    "efficientnet-lite0": efficientnet_lite.LITE0.to_onnx,
    "efficientnet-lite1": efficientnet_lite.LITE1.to_onnx,
    "efficientnet-lite2": efficientnet_lite.LITE2.to_onnx,
    "gzip-dictionary": dictionary.from_gzip,
    "json-labels": label_list.from_json,
    "ctranslate2-whisper": _later("whisper", "from_ctranslate2"),
    "minilm": _later("minilm", "to_onnx"),
    "ocr-letters": partial(onnx_metadata.lines, key="character"),
    "transposed-convolutions": transposed.plain,
    "magika-labels": partial(label_list.from_json, key="target_labels_space"),
}
