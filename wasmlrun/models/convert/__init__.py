"""What a package holds becomes what is kept: a checkpoint an ONNX file, a list of names labels.

A conversion is a pure function of bytes: the same on every machine, so that its result has a
digest in the catalogue. None of them runs anything that was downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from wasmlrun.models.convert import (
    dictionary,
    efficientnet_lite,
    label_list,
    minilm,
    onnx_metadata,
    whisper,
)

Conversion = Callable[[bytes], bytes]
"""From a file's bytes to those that are kept. Raises ValueError for what it cannot read."""

CONVERSIONS: Final[Mapping[str, Conversion]] = {
    "efficientnet-lite0": efficientnet_lite.LITE0.to_onnx,
    "efficientnet-lite1": efficientnet_lite.LITE1.to_onnx,
    "efficientnet-lite2": efficientnet_lite.LITE2.to_onnx,
    "gzip-dictionary": dictionary.from_gzip,
    "json-labels": label_list.from_json,
    "ctranslate2-whisper": whisper.from_ctranslate2,
    "minilm": minilm.to_onnx,
    "ocr-letters": partial(onnx_metadata.lines, key="character"),
    "magika-labels": partial(label_list.from_json, key="target_labels_space"),
}
