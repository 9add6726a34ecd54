"""The LiteRT (TensorFlow Lite) engine, over LiteRT's C API."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="litert",
    description="LiteRT, once TensorFlow Lite: every TFLite model, on the processor",
    module="ai_edge_litert",
    distribution="ai-edge-litert",
    extra="litert",
    encodings=(Encoding.TENSORFLOW_LITE,),
    priority=50,
    devices={"CPU": "the processor, by XNNPACK"},
)


def create(settings: Settings) -> Engine:
    """The engine with these settings; nothing is loaded yet."""
    from wasmlrun.engines.litert.engine import LiteRt

    return LiteRt(ABOUT, settings)
