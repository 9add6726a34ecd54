"""A text as numbers of a vocabulary: WordPiece, as BERT and its relatives were trained with."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping

import numpy as np

from wasmlrun.inference.arrays import tensor_of
from wasmlrun.inference.inputs.files import read_input
from wasmlrun.inference.kind import Given, InputKind, Wanted
from wasmlrun.inference.options import Options
from wasmlrun.support.errors import BadFile, BadManifest, BadModel

_FIRST, _LAST, _UNKNOWN = "[CLS]", "[SEP]", "[UNK]"
_LONGEST = 100
"""Letters of a word that is still taken apart."""


class Text(Options):
    """`[infer.input]` of kind text; the vocabulary is the file that `infer.labels` names, a piece
    a line.
    """

    most: int = 256
    """Tokens of a text; what comes after them is left out."""
    lower: bool = True
    """Whether capitals and accents are taken away first."""


def read(name: str, options: Text, wanted: Wanted) -> Given:
    """Numbers, mask and segments, each [1, tokens], for the inputs that are named for them.

    Raises:
        BadFile: the text is not UTF-8. BadModel: an input is none of the three.
    """
    try:
        text = read_input(name).decode("utf-8-sig")
    except UnicodeDecodeError as e:
        raise BadFile(f"input {name} is not UTF-8 (byte {e.start})") from e
    if not wanted.labels:
        raise BadManifest(
            "a text needs a vocabulary", 'name the file of it: [infer] labels = "vocab.txt"'
        )
    vocabulary = {piece: number for number, piece in enumerate(wanted.labels)}
    ids = np.array([tokens(text, vocabulary, options)], np.int64)
    tensors = {}
    for number, port in enumerate(wanted.ports):
        if "mask" in port.name:
            array = np.ones_like(ids)
        elif "type" in port.name or "segment" in port.name:
            array = np.zeros_like(ids)
        elif "id" in port.name or number == 0:
            array = ids
        else:
            raise BadModel(f"input {port.name} of the model is none that a text gives")
        tensors[number] = tensor_of(array, port.dtype)
    return Given(tensors, mask=np.ones(ids.shape[1], np.float32))


def tokens(text: str, vocabulary: Mapping[str, int], options: Text) -> list[int]:
    """The numbers of a text's pieces, the first and the last being the vocabulary's own marks.

    Raises:
        BadManifest: the vocabulary lacks one of the marks.
    """
    for mark in (_FIRST, _LAST, _UNKNOWN):
        if mark not in vocabulary:
            raise BadManifest(f"the vocabulary has no {mark}", "use the vocabulary of this model")
    found = [
        number for word in _words(text, lower=options.lower) for number in _pieces(word, vocabulary)
    ]
    return [vocabulary[_FIRST], *found[: max(options.most - 2, 0)], vocabulary[_LAST]]


def _words(text: str, *, lower: bool) -> Iterator[str]:
    """Words, and each sign of punctuation and each ideograph by itself."""
    if lower:
        text = "".join(
            c for c in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(c) != "Mn"
        )
    word = ""
    for char in text:
        category = unicodedata.category(char)
        if char.isspace() or category in ("Cc", "Cf"):
            if word and char.isspace():
                yield word
                word = ""
        elif category.startswith("P") or _is_sign(char) or _is_ideograph(char):
            if word:
                yield word
            yield char
            word = ""
        else:
            word += char
    if word:
        yield word


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    """The longest pieces from the left; one number for a word that cannot be put together."""
    found: list[int] = []
    start = 0
    while start < len(word) <= _LONGEST:
        for end in range(len(word), start, -1):
            number = vocabulary.get(("##" if start else "") + word[start:end])
            if number is not None:
                found.append(number)
                start = end
                break
        else:
            return [vocabulary[_UNKNOWN]]
    return found or [vocabulary[_UNKNOWN]]


def _is_sign(char: str) -> bool:
    # ASCII's other signs ($, +, ~ …) are punctuation here, as BERT has it
    code = ord(char)
    return 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126


def _is_ideograph(char: str) -> bool:
    code = ord(char)
    return 0x4E00 <= code <= 0x9FFF or 0x3400 <= code <= 0x4DBF or 0x20000 <= code <= 0x2FA1F


KIND = InputKind(read, Text)
