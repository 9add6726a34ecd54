"""What can be told about any model: its format, inputs and outputs, parameters, digest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import EngineError, NoEngineError, Port
from wasmlrun.models import parameters
from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.vision.preprocess import guess_layout


@dataclass(frozen=True, slots=True)
class PortInfo:
    """An input or output, and how a picture would lie in it."""

    port: Port
    layout: str | None
    """`NHWC` or `NCHW` by where 1 or 3 channels can be; None where it is no picture."""


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model as its file and the engine describe it."""

    format: Encoding
    inputs: Sequence[PortInfo]
    outputs: Sequence[PortInfo]
    parameters: int | None
    """Numbers stored in the file as constants; None where they cannot be counted."""
    size: int
    """Bytes of all parts."""
    sha256: str
    """Of the only part, or of the parts' digests joined."""


def info_of(source: ModelSource, shown: str, engines: EnginePool) -> ModelInfo:
    """Load a model on the CPU and describe it; `shown` is its name in messages.

    Raises:
        BadModel: the engine cannot read it.
    """
    try:
        graph = engines.choose(source.encoding).load(source, "CPU")
    except NoEngineError as e:
        raise BadModel(f"model {shown} cannot be used: {e}", e.hint) from e
    except EngineError as e:
        raise BadModel(
            f"model {shown} cannot be read as {source.encoding.value}: {e}",
            "check the file: is it complete, and of the format its name says?",
        ) from e
    try:
        return ModelInfo(
            source.encoding,
            [_port(port) for port in graph.inputs],
            [PortInfo(port, None) for port in graph.outputs],
            parameters.count(source),
            source.size,
            source.sha256,
        )
    finally:
        graph.close()


def _port(port: Port) -> PortInfo:
    return PortInfo(port, guess_layout(port.shape) if len(port.shape) == 4 else None)
