"""The whisper.cpp engine, over the C API of the library that travels in a wheel."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="whisper",
    description="whisper.cpp: speech to text, on the processor",
    module="pywhispercpp",
    distribution="pywhispercpp",
    encodings=(Encoding.WHISPER,),
    extra="speech",
    priority=50,
    devices={"CPU": "the processor"},
)


def create(settings: Settings) -> Engine:
    """Make the engine; its library is loaded when it is used."""
    from wasmlrun.engines.whisper.engine import Whisper

    return Whisper(ABOUT, settings)
