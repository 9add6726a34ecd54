"""A text: letters that a recogniser read in a picture, or bytes that are one already."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wasmlrun.inference.arrays import Array, one
from wasmlrun.inference.kind import Context, Made, OutputKind
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadLabels, BadModel

FORMATS = ("ctc", "bytes")


class Text(Options):
    """`[infer.output]` of kind text."""

    index: int = 0
    """The number of the output that is meant."""
    format: str = "ctc"
    """ctc: scores of letters for each step, [1, steps, letters]; bytes: UTF-8."""
    blank: int = 0
    """The number of "no letter"; the letters of `labels` follow it, or stand before it."""


def make(outputs: Sequence[tuple[str, Array]], options: Text, context: Context) -> Made:
    """The text, and how sure the recogniser was on average. Raises BadModel, BadLabels."""
    array = one(outputs, options.index, "text")
    if options.format == "bytes":
        text, score = array.astype(np.uint8).tobytes().decode(errors="replace"), None
    else:
        text, score = _greedy(array, options.blank, context.labels)
    facts = {"text": text} if score is None else {"text": text, "score": score}
    return Made(facts, [(text,)] if score is None else [(text, f"{score:.4f}")], text_file(text))


def text_file(text: str) -> Callable[[], bytes]:
    """The text and an end of line, for a file."""
    return lambda: text.encode() + b"\n"


def _greedy(array: Array, blank: int, labels: Sequence[str] | None) -> tuple[str, float]:
    """The best letter of each step; a letter that goes on is one letter."""
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise BadModel(
            f"a text is read from [1, steps, letters], the model gives {list(array.shape)}"
        )
    letters = array.shape[1]
    if labels is None or len(labels) not in (letters - 1, letters - 2):
        raise BadLabels(
            f"the model tells {letters - 1} letters apart and "
            f"{'no file names' if labels is None else f'{len(labels)} labels name'} them",
            '[infer] labels = "FILE" names the file, a letter a line',
        )
    best, scores = array.argmax(1), array.max(1)
    kept = best != blank
    kept[1:] &= best[1:] != best[:-1]
    # a space has no line of its own: lines lose theirs
    alphabet = [*labels, *[" "] * (letters - 1 - len(labels))]
    alphabet.insert(blank, "")
    text = "".join(alphabet[number] for number in best[kept])
    return text, float(scores[kept].mean()) if kept.any() else 0.0


KIND = OutputKind(make, Text, {"format": FORMATS})
