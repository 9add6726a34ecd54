"""Readers written in Python: what `inspect` says of a program; parameters counted in a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from random import Random

from fuzz.models import Models, Parts
from fuzz.target import ACCEPTED, REFUSED, Target
from fuzz.wasm import Wasm
from wasmlrun.diagnose.inspection import look_into
from wasmlrun.models import parameters
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.model_source import Encoding, ModelSource

_ENCODINGS = (
    Encoding.OPENVINO,
    Encoding.ONNX,
    Encoding.TENSORFLOW,
    Encoding.TENSORFLOW_LITE,
)


class Inspected(Target[bytes]):
    """Mutated modules and components, looked into without running them."""

    name = "inspect"

    def __init__(self) -> None:
        super().__init__()
        self._wasm = Wasm()

    def begin(self, folder: Path) -> None:
        """Where the file goes."""
        self._path = folder / "inspected.wasm"

    def make(self, random: Random) -> bytes:
        """As for running them."""
        return self._wasm.make(random)

    def feed(self, value: bytes) -> str:
        """Look into it."""
        self._path.write_bytes(value)
        try:
            look_into(self._path, Board())
        except WasmlrunError:
            return REFUSED
        return ACCEPTED

    def files(self, value: bytes) -> Mapping[str, bytes]:
        """As `wasmlrun inspect` takes it."""
        return {"inspected.wasm": value}


class Parameters(Target[tuple[Encoding, Parts]]):
    """Mutated models, whose parameters are counted."""

    name = "parameters"

    def __init__(self) -> None:
        super().__init__()
        self._models = {encoding: Models(encoding) for encoding in _ENCODINGS}

    def make(self, random: Random) -> tuple[Encoding, Parts]:
        """As for the engine."""
        encoding = random.choice(_ENCODINGS)
        return encoding, self._models[encoding].make(random)

    def feed(self, value: tuple[Encoding, Parts]) -> str:
        """Count them."""
        encoding, parts = value
        return REFUSED if parameters.count(ModelSource(encoding, parts)) is None else ACCEPTED

    def read(self, data: bytes) -> tuple[Encoding, Parts]:
        """The first byte says of which format the rest is."""
        encoding = _ENCODINGS[data[0] % len(_ENCODINGS) if data else 0]
        return encoding, self._models[encoding].read(data[1:])

    def written(self, value: tuple[Encoding, Parts]) -> bytes:
        """The format, the model."""
        encoding, parts = value
        return bytes([_ENCODINGS.index(encoding)]) + self._models[encoding].written(parts)

    def files(self, value: tuple[Encoding, Parts]) -> Mapping[str, bytes]:
        """As `wasmlrun models info` takes it."""
        return self._models[value[0]].files(value[1])
