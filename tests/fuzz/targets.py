"""Every target."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fuzz.calls import Calls
from fuzz.components import Components
from fuzz.images import Images
from fuzz.models import Models
from fuzz.outside import Archives, FromChild, Paths, Signatures, Terminal
from fuzz.readers import Inspected, Parameters
from fuzz.target import Target
from fuzz.texts import Labels, Manifests
from fuzz.wasm import Wasm
from wasmlrun.support.model_source import Encoding

_SHARED = Path(__file__).parents[3] / "shared" / "data" / "models"


def all_targets() -> list[Target[Any]]:
    """In the order in which they take turns."""
    big = _SHARED / "mobilenet_v1_0.25_128_quant.tflite"
    return [
        Models(Encoding.TENSORFLOW_LITE, big if big.exists() else None),
        Models(Encoding.ONNX),
        Models(Encoding.OPENVINO),
        Models(Encoding.TENSORFLOW),
        Images(),
        Manifests(),
        Labels(),
        Wasm(),
        Components(),
        Inspected(),
        Parameters(),
        Archives(),
        Signatures(),
        FromChild(),
        Terminal(),
        Paths(),
        Calls("wasi_ephemeral_nn", real=False),
        Calls("wasi_nn", real=False),
        Calls("wasi_ephemeral_nn", real=True),
        Calls("wasi_nn", real=True),
    ]
