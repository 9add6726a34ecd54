"""The OpenVINO engine, over OpenVINO's C API."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="openvino",
    description="OpenVINO: most model formats, on Intel and AMD processors, Intel GPUs and NPUs",
    module="openvino",
    distribution="openvino",
    encodings=(
        Encoding.OPENVINO,
        Encoding.ONNX,
        Encoding.TENSORFLOW_LITE,
        Encoding.TENSORFLOW,
    ),
    priority=100,
    precisions=("f32", "bf16", "f16"),
    devices={
        "CPU": "the processor",
        "GPU": "an Intel GPU; GPU.0, GPU.1 where there are several",
        "NPU": "an Intel neural processor",
        "AUTO": "OpenVINO's own choice among them",
    },
)


def create(settings: Settings) -> Engine:
    """The engine, with these settings; nothing is loaded yet."""
    from wasmlrun.engines.openvino.engine import OpenVINO

    return OpenVINO(ABOUT, settings)
