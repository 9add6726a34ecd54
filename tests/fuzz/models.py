"""Mutated model files, through the session that a guest's calls go through."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random

from kit.models_by_hand import colours_ir, identity_ir

from fuzz import bases
from fuzz.mutate import mutated, mutated_text
from fuzz.target import ACCEPTED, REFUSED, Target
from wasmlrun.engines.openvino import create
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Engine, Graph, Settings
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import Tensor, byte_size
from wasmlrun.vision.labels import probabilities, rank
from wasmlrun.wasi_nn.errors import NnError
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

MOST_INPUT = 16 << 20
"""Bytes of an input that is still computed with."""

Parts = tuple[bytes, ...]
_END = b"</net>"


class _Pool(GraphPool):
    """Shows the graph that was loaded last."""

    last: Graph

    def load(
        self,
        source: ModelSource,
        engine: Engine,
        device: str,
        underway: Callable[[], None] = lambda: None,
    ) -> Graph:
        self.last = super().load(source, engine, device, underway)
        return self.last


class Models(Target[Parts]):
    """Models of one format."""

    def __init__(self, encoding: Encoding, big: Path | None = None) -> None:
        """`big` is a real model that is mutated now and then."""
        super().__init__()
        self.name = {
            Encoding.OPENVINO: "ir",
            Encoding.ONNX: "onnx",
            Encoding.TENSORFLOW: "tensorflow",
            Encoding.TENSORFLOW_LITE: "tflite",
        }[encoding]
        self._encoding = encoding
        self._bases = _bases(encoding)
        self._big = big.read_bytes() if big else None

    def begin(self, folder: Path) -> None:
        """Load the engine."""
        self._engine = create(Settings())
        self._engine.devices()

    def make(self, random: Random) -> Parts:
        """A mutated model; IR is mutated as text mostly."""
        if self._big is not None and random.random() < 0.04:
            return (mutated(self._big, random),)
        parts = random.choice(self._bases)
        if self._encoding is not Encoding.OPENVINO:
            return (mutated(parts[0], random),)
        xml, weights = parts
        if random.random() < 0.85:
            xml = mutated_text(xml.decode(), random).encode()
        else:
            xml = mutated(xml, random)
        return xml, mutated(weights, random) if random.random() < 0.2 else weights

    def feed(self, value: Parts) -> str:
        """Load, set every input, compute, read every output, rank the first."""
        pool = _Pool(EnginePool.of(self._engine), Board())
        session = Session(pool, {})
        try:
            graph = session.load(value, self._encoding, "cpu")
            context = session.init_execution_context(graph)
            for number, port in enumerate(pool.last.inputs):
                shape = tuple(1 if size < 0 else size for size in port.shape)
                size = byte_size(shape, port.dtype)
                if size > MOST_INPUT:
                    return REFUSED
                session.set_input(context, number, Tensor(shape, port.dtype, bytes(size)))
            session.compute(context)
            for number, _ in enumerate(session.output_names(context)):
                rank(probabilities(session.output(context, number)), None, None, 5)
        except (NnError, WasmlrunError):
            return REFUSED
        finally:
            session.close()
            pool.close()
        return ACCEPTED

    def read(self, data: bytes) -> Parts:
        """IR's weights follow its text."""
        if self._encoding is not Encoding.OPENVINO:
            return (data,)
        xml, end, weights = data.partition(_END)
        return xml + end, weights

    def written(self, value: Parts) -> bytes:
        """One part after the other."""
        return b"".join(value)

    def files(self, value: Parts) -> Mapping[str, bytes]:
        """As `--model` takes them."""
        if self._encoding is Encoding.OPENVINO:
            return {"model.xml": value[0], "model.bin": value[1]}
        return {f"model.{'pb' if self.name == 'tensorflow' else self.name}": value[0]}


def _bases(encoding: Encoding) -> Sequence[Parts]:
    if encoding is Encoding.ONNX:
        return [(bases.onnx(),)]
    if encoding is Encoding.TENSORFLOW:
        return [(bases.tensorflow(),)]
    if encoding is Encoding.TENSORFLOW_LITE:
        custom = ("TFLite_Detection_PostProcess", "FlexErf", "../../custom.so")
        return [(bases.tflite(),), *((bases.tflite(name),) for name in custom)]
    xml, weights = identity_ir("f32", (1, 4))
    return [
        (
            xml.replace(b'"Reshape" version="opset1"', b'"Reshape" version="extension"'),
            weights,
        ),  # as of an engine's plugin
        colours_ir("u8", softmax=True),
        colours_ir("f32", side="-1", layout="NCHW"),
        identity_ir("i64", (1, 4)),
    ]
