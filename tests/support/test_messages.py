"""What is said on stderr, and when."""

from __future__ import annotations

import io

import pytest

from wasmlrun.support.errors import BadImage
from wasmlrun.support.messages import Messages, printable


def said(verbosity: int) -> dict[str, str]:
    """What each kind of message writes."""

    def one(method: str, *arguments: object) -> str:
        stream = io.StringIO()
        getattr(Messages(verbosity, stream), method)(*arguments)
        return stream.getvalue()

    return {
        "error": one("error", BadImage("it broke, here", "mend it")),
        "bare error": one("error", BadImage("it broke")),
        "warn": one("warn", "mind"),
        "info": one("info", "so it is"),
        "detail": one("detail", "look"),
        "guest": one("guest", b"chatter\n"),
    }


ERROR = "error: it broke, here\nhint: mend it\n"


def test_quiet_hides_all_but_errors() -> None:
    assert said(-1) == {
        "error": ERROR,
        "bare error": "error: it broke\n",
        "warn": "",
        "info": "",
        "detail": "",
        "guest": "",
    }


def test_normally_only_details_are_hidden() -> None:
    assert said(0) == {
        "error": ERROR,
        "bare error": "error: it broke\n",
        "warn": "warning: mind\n",
        "info": "so it is\n",
        "detail": "",
        "guest": "chatter\n",
    }


def test_verbose_adds_details_and_the_traceback() -> None:
    stream = io.StringIO()
    try:
        raise BadImage("it broke, here", "mend it")
    except BadImage as error:
        Messages(1, stream).error(error)
    text = stream.getvalue()
    assert text.startswith("Traceback (most recent call last):\n")
    assert text.endswith(ERROR)
    assert said(1)["detail"] == "look\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain – é ü 猫", "plain – é ü 猫"),
        ("two\nlines\tand tabs", "two\nlines\tand tabs"),
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("\r\x00\x9b", "\ufffd\ufffd\ufffd"),
        ("\u202egnp.tac", "\ufffdgnp.tac"),
    ],
)
def test_nothing_from_outside_can_steer_a_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_guests_bytes_need_not_be_text() -> None:
    stream = io.StringIO()
    Messages(0, stream).guest(b"\xff\x1b[2Jhello\n")
    assert stream.getvalue() == "\ufffd\ufffd[2Jhello\n"
