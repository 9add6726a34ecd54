"""A dictionary of pronunciation as lines."""

from __future__ import annotations

import gzip
import json

import pytest

from wasmlrun.models.convert.dictionary import from_gzip


def packed(value: object) -> bytes:
    return gzip.compress(json.dumps(value).encode())


def test_words_are_sorted_by_their_bytes() -> None:
    words = {"b": "bˈi", "Z": "zˈi", "é": "ˈA", "a": {"DEFAULT": "ˈA", "DT": None}}
    assert from_gzip(packed(words)).decode() == "Z\tzˈi\na\tˈA\nb\tbˈi\né\tˈA\n"


@pytest.mark.parametrize(
    "data",
    [
        b"no gzip",
        packed("a")[:-4],
        gzip.compress(b"{"),
        *map(packed, ([], {}, {"a": 1}, {"a": {"NOUN": "x"}}, {"a\tb": "x"}, {"": "x"})),
    ],
)
def test_what_is_no_dictionary(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's errors are ValueErrors too
        from_gzip(data)
