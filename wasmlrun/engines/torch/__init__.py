"""The PyTorch engine: TorchScript and ExportedProgram files."""

from __future__ import annotations

from wasmlrun.engines.protocol import About, Engine, Settings
from wasmlrun.support.model_source import Encoding

ABOUT = About(
    name="torch",
    description="PyTorch: TorchScript (.pt) and ExportedProgram (.pt2), on the processor",
    module="torch",
    distribution="torch",
    extra="torch",
    encodings=(Encoding.PYTORCH,),
    priority=50,
    devices={"CPU": "the processor"},
)


def create(settings: Settings) -> Engine:
    """The engine with these settings; nothing is loaded yet."""
    from wasmlrun.engines.torch.engine import PyTorch

    return PyTorch(ABOUT, settings)
