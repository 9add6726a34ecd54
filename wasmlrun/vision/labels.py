"""Scores become ranked predictions with labels. Pure functions of their arguments."""

from __future__ import annotations

import heapq
import math
import re
import struct
from array import array
from collections.abc import Sequence
from pathlib import Path

from wasmlrun.support import beneath
from wasmlrun.support.errors import BadLabels, BadModel
from wasmlrun.support.records import Record
from wasmlrun.support.tensor import DType, Tensor, describe

MAX_LABEL_BYTES = 64 * 1024 * 1024


class Prediction(Record):
    """One class of the answer. `index` is None when the worker gave only a label."""

    index: int | None
    label: str
    score: float


def read_labels(path: Path, *, within: Path | None = None) -> list[str]:
    """One label a line, in the order of the model's scores; UTF-8.

    Files that number their lines (`0 tench`, `1: goldfish`) lose the numbers. `within` is the
    folder that the path must not lead out of; None is anywhere.

    Raises:
        BadLabels: the file is missing, unreadable, not UTF-8, or empty.
    """
    try:
        text = beneath.read(path, MAX_LABEL_BYTES, within=within).decode("utf-8-sig")
    except FileNotFoundError:
        raise BadLabels(f"labels {path} does not exist") from None
    except beneath.TooLarge:
        raise BadLabels(
            f"labels {path} has more bytes than the {MAX_LABEL_BYTES} that a label file may have",
            "is this the right file? one label a line is expected",
        ) from None
    except beneath.Outside as e:
        raise BadLabels(f"labels {path} cannot be read: {e.strerror}", e.hint) from e
    except OSError as e:
        raise BadLabels(f"labels {path} cannot be read: {e.strerror}") from e
    except UnicodeDecodeError as e:
        raise BadLabels(
            f"labels {path} is not UTF-8 (byte {e.start})", "convert it: iconv -t utf-8"
        ) from e
    labels = [line.strip() for line in text.rstrip().split("\n")]
    if labels == [""]:
        raise BadLabels(f"labels {path} is empty", "one label a line is expected")
    if not labels[0].startswith("0"):
        return labels
    numbered = [re.match(r"(\d{1,9})\s*[:,\s]\s*(\S.*)", line) for line in labels]
    if all(m and int(m[1]) == n for n, m in enumerate(numbered)):
        return [m[2] for m in numbered if m]
    return labels


def label_of(index: int, labels: Sequence[str] | None, offset: int) -> str:
    """The label of score `index`; a class before the first label is the background."""
    if labels is None:
        return f"class {index}"
    line = index + offset
    return "background" if line < 0 else labels[line]


def label_offset(scores: int, labels: Sequence[str] | None, offset: int | None) -> int:
    """What to add to a score's index to find its label.

    Raises:
        BadLabels: the counts do not fit.
    """
    if labels is None:
        return offset or 0
    if offset is not None:
        if scores + offset == len(labels):
            return offset
        raise BadLabels(
            f"{scores} scores and {len(labels)} labels do not fit with label_offset {offset}",
            f"label_offset = {len(labels) - scores} would make the counts agree",
        )
    if scores == len(labels):
        return 0
    if (scores, len(labels)) == (1001, 1000):
        return -1  # ImageNet with a background class in front
    raise BadLabels(
        f"the model gives {scores} scores and there are {len(labels)} labels",
        "use the label file of this model"
        if abs(scores - len(labels)) > 1
        else f"if the labels are right, say label_offset = {len(labels) - scores} under "
        "[classify] in a manifest",
    )


def rank(
    scores: Sequence[float], labels: Sequence[str] | None, offset: int | None, top: int
) -> list[Prediction]:
    """The `top` highest scores, highest first; equal scores in the order of their classes.

    Raises:
        BadLabels: the number of labels does not fit the number of scores.
    """
    shift = label_offset(len(scores), labels, offset)
    best = heapq.nsmallest(top, range(len(scores)), key=lambda i: (-scores[i], i))
    return [Prediction(i, label_of(i, labels, shift), scores[i]) for i in best]


def probabilities(tensor: Tensor, kind: str = "auto") -> list[float]:
    """A score tensor as probabilities.

    8-bit scores are softmax outputs quantised to 1/256, as TensorFlow Lite writes them. Floats
    that already are a distribution stay as they are; `logits` go through softmax.

    Raises:
        BadModel: the tensor is no list of scores, or holds something that is no number.
    """
    if sum(1 for n in tensor.shape if n != 1) > 1 or not tensor.data:
        raise BadModel(
            f"the output {describe(tensor.shape, tensor.dtype)} is not a list of scores",
            "a classifier gives one number a class: [1, classes]",
        )
    values = _numbers(tensor)
    if not all(map(math.isfinite, values)):
        raise BadModel(
            "the model's scores are not all finite numbers",
            "check the input's mean and scale, and the model itself",
        )
    if tensor.dtype in (DType.U8, DType.I8) and kind != "logits":
        return [value / 256 for value in values]
    if kind == "probabilities" or (kind == "auto" and _is_distribution(values)):
        return values
    return softmax(values)


def as_probabilities(
    ranking: Sequence[tuple[int, float]], tensor: Tensor, kind: str = "auto"
) -> Sequence[tuple[int, float]]:
    """A worker's (index, score) pairs, as probabilities where they are the tensor's own numbers.

    Who ranks raw scores of a model that ends without a softmax has no probabilities, and prints a
    few of the scores only; the tensor has all of them.
    """
    try:
        likely = probabilities(tensor, kind)
    except BadModel:
        return ranking
    raw = _numbers(tensor)
    for index, score in ranking:
        if index >= len(raw) or not math.isclose(raw[index], score, rel_tol=1e-3, abs_tol=1e-3):
            return ranking
    return [(index, likely[index]) for index, _ in ranking] if likely != raw else ranking


def softmax(values: Sequence[float]) -> list[float]:
    """exp(v) normalised to a sum of 1, computed without overflow."""
    highest = max(values)
    powers = [math.exp(value - highest) for value in values]
    total = math.fsum(powers)
    return [power / total for power in powers]


def _is_distribution(values: Sequence[float]) -> bool:
    return min(values) >= -1e-4 and abs(math.fsum(values) - 1) < 0.02


def _numbers(tensor: Tensor) -> list[float]:
    data = bytes(tensor.data)
    if tensor.dtype is DType.I8:
        return [float(value + 128) for value in array("b", data)]
    if tensor.dtype is DType.F16:
        return [value for (value,) in struct.iter_unpack("<e", data)]
    if tensor.dtype is DType.BF16:
        # bfloat16 is the upper half of an f32
        words = array("I", [word << 16 for word in array("H", data)])
        return [float(value) for value in array("f", words.tobytes())]
    code = {DType.F32: "f", DType.F64: "d", DType.I32: "i", DType.I64: "q"}.get(tensor.dtype, "B")
    return [float(value) for value in array(code, data)]
