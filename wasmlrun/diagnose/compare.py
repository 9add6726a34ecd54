"""One picture and one model through several engines: labels, scores, latency, difference."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

from wasmlrun.engines import registry
from wasmlrun.engines.protocol import Engine, NoEngineError, Settings
from wasmlrun.host import Host
from wasmlrun.nn import GraphPool
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.per_image import Classifier
from wasmlrun.pipeline.plan import ClassifyOptions, Plan, hosted
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadModel, UsageFault
from wasmlrun.support.messages import Messages
from wasmlrun.support.tensor import Tensor
from wasmlrun.vision.labels import Prediction, probabilities, rank
from wasmlrun.vision.source import ImageSource


@dataclass(frozen=True, slots=True)
class Contender:
    """What one engine, computing in one precision, makes of the picture."""

    engine: str
    version: str
    precision: str
    predictions: Sequence[Prediction]
    latency_ms: float
    """Median of an inference with the tensor given and the scores taken, without a sandbox."""
    difference: float
    """The greatest of any score, from 0 to 1, to the first contender's."""


def engines_for(plan: Plan, named: Sequence[str]) -> list[str]:
    """The engines to compare: those that were named, else all that are installed and read it.

    Raises:
        UsageFault: fewer than one can be used. BadModel: the host does not know the model.
    """
    if plan.source is None:
        raise BadModel("the host does not know this worker's model", "name it with --model")
    encoding = plan.source.encoding
    if named:
        return list(dict.fromkeys(named))
    found = [a.name for a in registry.readers(encoding) if registry.is_installed(a)]
    if not found:
        raise UsageFault(
            f"no engine that reads {encoding.value} models is installed",
            "wasmlrun engines says how to install one",
        )
    return found


def contend(
    image: ImageSource,
    plan: Plan,
    name: str,
    precision: str,
    runs: int,
    top: int,
    board: Board,
    messages: Messages,
    first: Sequence[float] | None,
) -> tuple[Contender, Sequence[float]]:
    """One engine's answer, and all its scores for those that follow; `first` is the first's.

    Raises:
        WasmlrunError: of the kind of what went wrong.
    """
    from wasmlrun.engines.pool import EnginePool

    try:
        engine: Engine = registry.get(name, Settings(precision, Cache(None)))
    except NoEngineError as e:
        raise UsageFault(f"--backend {name}: {e}", e.hint) from e
    host = hosted(plan, Host(GraphPool(EnginePool.of(engine), board)))
    classifier = Classifier(plan, ClassifyOptions(), host, Loading(plan, host), messages)
    direct, _ = classifier.side_by_side(image)
    assert direct is not None
    times = []
    for _ in range(runs + 1):
        started = time.perf_counter()
        output = direct()
        times.append((time.perf_counter() - started) * 1000)
    assert isinstance(output, Tensor)
    settings = plan.settings
    scores = probabilities(output, settings.scores)
    if first is not None and len(first) != len(scores):
        raise BadModel(f"{name} gives {len(scores)} scores, the first engine {len(first)}")
    pairs = zip(scores, first if first is not None else scores, strict=True)
    contender = Contender(
        name,
        engine.version(),
        precision,
        rank(scores, plan.labels, settings.label_offset, top),
        statistics.median(times[1:]),
        max((abs(a - b) for a, b in pairs), default=0.0),
    )
    return contender, scores
