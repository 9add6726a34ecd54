"""The llama.cpp engine, over the C API of the library that travels in a wheel."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="llama",
    description="llama.cpp: language models in GGUF files, on the processor",
    module="xllamacpp",
    distribution="xllamacpp",
    encodings=(Encoding.GGML,),
    extra="llm",
    priority=50,
    devices={"CPU": "the processor"},
)


def create(settings: Settings) -> Engine:
    """Make the engine; its library is loaded when it is used."""
    from wasmlrun.engines.llama.engine import Llama

    return Llama(ABOUT, settings)
