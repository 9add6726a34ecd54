"""Text that comes in pieces: characters stay whole, and what stops it is not shown."""

from __future__ import annotations

import pytest

from wasmlrun.serve.chat_text import Speech


def shown(speech: Speech, *pieces: bytes) -> list[str]:
    return [*(speech.take(piece) for piece in pieces), speech.rest()]


def test_characters_stay_whole() -> None:
    first, second = "né".encode()[:2], "né".encode()[2:]
    assert shown(Speech(), first, second, b"!") == ["n", "é", "!", ""]


def test_what_is_no_character_is_shown_as_none() -> None:
    assert shown(Speech(), b"a\xff", b"\xc3") == [
        "a\N{REPLACEMENT CHARACTER}",
        "",
        "\N{REPLACEMENT CHARACTER}",
    ]


@pytest.mark.parametrize(
    ("stops", "pieces", "text"),
    [
        (["END"], [b"one END two"], "one "),
        (["END"], [b"one E", b"N", b"D two"], "one "),
        (["END"], [b"one E", b"N", b"O"], "one ENO"),
        (["END"], [b"one EN"], "one EN"),
        (["END"], [b"EEEND"], "EE"),
        (["aab"], [b"a", b"a", b"a", b"b", b"c"], "a"),
        (["x", "long stop"], [b"a long st", b"op x"], "a "),
        (["é"], [b"caf", b"\xc3", b"\xa9!"], "caf"),
        ([], [b"END"], "END"),
    ],
)
def test_it_stops_before_a_text(stops: list[str], pieces: list[bytes], text: str) -> None:
    speech = Speech(stops)
    assert "".join(shown(speech, *pieces)) == text
    assert speech.stopped == (text not in (b"".join(pieces).decode(),))


def test_nothing_comes_after_a_stop() -> None:
    speech = Speech(["."])
    assert shown(speech, b"a.b", b"c") == ["a", "", ""]
