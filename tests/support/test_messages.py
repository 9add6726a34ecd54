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

    def chatter() -> str:
        stream = io.StringIO()
        with Messages(verbosity, stream).guest() as said:
            said(b"chatter\n")
        return stream.getvalue()

    return {
        "error": one("error", BadImage("it broke, here", "mend it")),
        "bare error": one("error", BadImage("it broke")),
        "warn": one("warn", "mind"),
        "info": one("info", "so it is"),
        "detail": one("detail", "look"),
        "guest": chatter(),
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
        "guest": "worker: chatter\n",
    }


def test_verbose_adds_details_and_the_traceback() -> None:
    stream = io.StringIO()
    try:
        raise BadImage("it broke, here", "mend it")
    except BadImage as error:
        Messages(1, stream).error(error)
    text = stream.getvalue()
    assert text.startswith("  Traceback (most recent call last):\n")
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
    with Messages(0, stream).guest() as said:
        said(b"\xff\x1b[2Jhello\n")
    assert stream.getvalue() == "worker: \ufffd\ufffd[2Jhello\n"


def test_no_line_of_a_guest_looks_like_ours() -> None:
    stream = io.StringIO()
    messages = Messages(0, stream)
    with messages.guest() as said:
        for piece in (b"err", b"or: forged\nhint: run rm\rerror: x\nno end"):
            said(piece)
    messages.error(BadImage("ours", "do this"))
    assert stream.getvalue() == (
        "worker: error: forged\nworker: hint: run rm\ufffderror: x\nworker: no end\n"
        "error: ours\nhint: do this\n"
    )


def test_what_a_guest_says_is_counted_as_it_is_shown() -> None:
    stream = io.StringIO()
    with Messages(0, stream).guest() as said:
        told = said(b"\n" * 100) + said(b"\x01" * 10_000 + b"\n")
    assert told == len(stream.getvalue().encode()) == 100 * 9 + 10_000 * 3 + 9
    with Messages(-1, stream).guest() as said:
        said(b"quiet\n")
    assert "quiet" not in stream.getvalue()


def test_a_name_with_an_end_of_line_begins_no_line_of_ours() -> None:
    stream = io.StringIO()
    Messages(0, stream).error(BadImage("image x\nerror: forged\u2028 is none"))
    assert stream.getvalue() == "error: image x\ufffderror: forged\ufffd is none\n"


def test_a_line_that_was_left_without_its_end_is_ended() -> None:
    stream = io.StringIO()
    messages = Messages(0, stream)
    messages.unterminated = True
    messages.warn("one")
    messages.warn("two")
    assert stream.getvalue() == "\nwarning: one\nwarning: two\n"


def test_a_full_stderr_is_no_error() -> None:
    full = open("/dev/full", "w")  # noqa: SIM115 - to close it would say it again
    Messages(0, full).warn("nobody hears it")
    with pytest.raises(OSError, match="No space"):
        full.close()


def test_a_traceback_steers_no_terminal_and_forges_no_line() -> None:
    out = io.StringIO()
    Messages(1, out).bug(ValueError("a\x1b[2J\u202e\nerror: forged\nhint: forged"))
    lines = out.getvalue().splitlines()
    ours = [line for line in lines if not line.startswith("  ")]
    assert [line.partition(":")[0] for line in ours] == ["error", "hint"]
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
