"""A dictionary of pronunciation as lines that a worker can search: word, tab, phonemes, sorted."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

_USUAL = "DEFAULT"
"""What a word sounds like that sounds differently as another part of speech."""


def from_gzip(data: bytes) -> bytes:
    """Of a JSON object in gzip: each word's phonemes, or an object with them under `DEFAULT`.

    Raises:
        ValueError: it is something else.
    """
    try:
        words: Any = json.loads(gzip.decompress(data))
    except (OSError, EOFError, zlib.error) as e:
        raise ValueError(f"not in gzip: {e}") from e
    if not isinstance(words, dict) or not words:
        raise ValueError("not an object of words")
    lines = []
    for word, said in words.items():
        phonemes = said.get(_USUAL) if isinstance(said, dict) else said
        if not isinstance(phonemes, str) or not (word + phonemes).isprintable() or not word:
            raise ValueError(f"the word {word!r} has no phonemes")
        lines.append((word.encode(), phonemes.encode()))
    return b"".join(word + b"\t" + phonemes + b"\n" for word, phonemes in sorted(lines))
