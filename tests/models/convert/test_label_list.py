"""Names of classes in other forms."""

from __future__ import annotations

import pytest

from wasmlrun.models.convert.label_list import from_json


def test_lists_and_numbered_names() -> None:
    assert from_json('["a", "b, ü"]'.encode()) == "a\nb, ü\n".encode()
    assert from_json(b'{"1": "b", "0": "a"}') == b"a\nb\n"
    assert from_json(b'{"types": ["a"], "x": 1}', key="types") == b"a\n"


@pytest.mark.parametrize(
    "data",
    [
        *(b"[", b"[]", b"1", b'["a", 1]', b'["a\\nb"]', b'["a", " "]', b'{"0": "a", "2": "b"}'),
        b"\xff",
    ],
)
def test_what_is_no_list_of_names(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - json's errors are ValueErrors too
        from_json(data)
    with pytest.raises(ValueError, match="not a list"):
        from_json(b"[]", key="types")
