"""The ONNX Runtime engine, over ONNX Runtime's C API."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="onnx",
    description="ONNX Runtime: every ONNX model, on the processor",
    module="onnxruntime",
    distribution="onnxruntime",
    extra="onnx",
    encodings=(Encoding.ONNX,),
    priority=50,
    devices={"CPU": "the processor"},
)


def create(settings: Settings) -> Engine:
    """The engine with these settings; nothing is loaded yet."""
    from wasmlrun.engines.onnx.engine import OnnxRuntime

    return OnnxRuntime(ABOUT, settings)
