"""The options of a recognition, as guests of WasmEdge give them: a JSON object."""

from __future__ import annotations

from typing import Any

from wasmlrun.engines.options import changed, given_options
from wasmlrun.engines.protocol import EngineError
from wasmlrun.support.records import Record


class WhisperOptions(Record):
    """What is understood; a field is an option with `-` for `_`."""

    threads: int = 0
    """0 is as many as the engine may have."""
    translate: bool = False
    """Whether the text is to be English, whatever is spoken."""
    language: str = "en"
    """What is spoken, as two letters; `auto` finds out."""
    detect_language: bool = False
    """As the language `auto`."""
    offset_time: int = 0
    """Where to begin, in milliseconds."""
    duration_time: int = 0
    """How much to hear, in milliseconds; 0 is to the end."""
    max_context: int = -1
    """How many tokens of what was said before are looked at; below 0, as many as fit."""
    max_len: int = 0
    """Letters of a piece of text; 0 is as many as come."""
    split_on_word: bool = False
    prompt: str = ""
    """A text that may have been said before."""
    stream_stdout: bool = False


_DEFAULTS = WhisperOptions()


def read_options(data: bytes, before: WhisperOptions = _DEFAULTS) -> WhisperOptions:
    """The options before, with those in a JSON object.

    Others that WasmEdge knows (logs, sampling) mean nothing here and are left alone.

    Raises:
        EngineError: it is no JSON object, or an option is of another type.
    """
    return changed(before, given_options(data), _DEFAULTS, _number)


def _number(shown: str, name: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and -1 <= value < 1 << 31:
        return value
    raise EngineError(f"option {shown} is a whole number from -1 on, given was {value!r}")
