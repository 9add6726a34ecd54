"""Protocol `tensor`: the prepared input on stdin, its description in the environment.

The answer is the tensor that the guest fetched last with `get_output`. A guest that ranks for
itself may instead print lines of `INDEX<TAB>SCORE`; then those are the answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from wasmlrun.engines.protocol import Port
from wasmlrun.manifest.manifest import Classify
from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.support.errors import BadModel
from wasmlrun.support.model_source import Encoding
from wasmlrun.support.tensor import Tensor
from wasmlrun.vision.labels import (
    Prediction,
    as_probabilities,
    label_of,
    label_offset,
    probabilities,
    rank,
)


def environment(
    tensor: Tensor, model: str, encoding: Encoding | None, output: Port | None
) -> list[tuple[str, str]]:
    """The variables that describe the input, the model, and the model's first output.

    `model` is a name for `load_by_name`, or, with a slash in front, a path to read and load.
    """
    variables = [
        ("WASMLRUN_MODEL", model),
        ("WASMLRUN_INPUT_SHAPE", ",".join(map(str, tensor.shape))),
        ("WASMLRUN_INPUT_TYPE", tensor.dtype.value),
    ]
    if encoding is not None:
        variables.append(("WASMLRUN_MODEL_ENCODING", str(encoding.format.number)))
    if output is not None:
        shape = ",".join(str(max(n, 1)) for n in output.shape)
        variables += [
            ("WASMLRUN_OUTPUT_SHAPE", shape),
            ("WASMLRUN_OUTPUT_TYPE", output.dtype.value),
        ]
    return variables


def predictions(
    run: GuestRun,
    settings: Classify,
    labels: Sequence[str] | None,
    top: int,
    *,
    own_ranking: bool = True,
) -> list[Prediction]:
    """The worker's answer, ranked: its own ranking, else the tensor that it fetched last.

    Without `own_ranking` that tensor comes first, whatever the worker printed.

    Raises:
        WorkerFailed: there is none. BadModel, BadLabels: the scores cannot be understood.
    """
    own: Sequence[tuple[int, float]] | None
    own = parse_ranking(run.stdout) if own_ranking or run.output is None else None
    if own is not None:
        if run.output is not None:
            own = as_probabilities(own, run.output, settings.scores)
        return _labelled(own, run, settings, labels)[:top]
    if run.output is None:
        raise explain(run, "the worker gave no answer: it fetched no output and printed no ranking")
    return rank(probabilities(run.output, settings.scores), labels, settings.label_offset, top)


def parse_ranking(stdout: bytes) -> list[tuple[int, float]] | None:
    """`INDEX<TAB>SCORE` lines, best first; None when there is any other line or none."""
    found = []
    for line in stdout.decode(errors="replace").splitlines():
        if not line.strip():
            continue
        index, tab, score = line.partition("\t")
        try:
            found.append((int(index), float(score)))
        except ValueError:
            return None
        if not tab or found[-1][0] < 0 or not math.isfinite(found[-1][1]):
            return None
    return sorted(found, key=lambda pair: -pair[1]) or None


def _labelled(
    ranking: Sequence[tuple[int, float]],
    run: GuestRun,
    settings: Classify,
    labels: Sequence[str] | None,
) -> list[Prediction]:
    classes = len(labels) if labels is not None else 0
    if run.output is not None:
        classes = max(run.output.shape, default=1)
    offset = label_offset(classes, labels, settings.label_offset)
    highest = max(index for index, _ in ranking)
    if labels is not None and highest + offset >= len(labels):
        raise BadModel(f"the worker named class {highest}, and there are {len(labels)} labels")
    return [Prediction(i, label_of(i, labels, offset), score) for i, score in ranking]
