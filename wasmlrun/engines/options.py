"""Options that guests of WasmEdge's dialect give an engine: a JSON object, changing a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeVar

from wasmlrun.engines.protocol import EngineError
from wasmlrun.support.records import Record, replace

R = TypeVar("R", bound=Record)


def given_options(data: bytes) -> dict[str, Any]:
    """The object. Raises EngineError when it is none."""
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise EngineError("the options are not JSON") from None
    if not isinstance(given, dict):
        raise EngineError("the options are no JSON object")
    return given


def changed(
    before: R, given: dict[str, Any], defaults: R, number: Callable[[str, str, Any], Any]
) -> R:
    """The options before, with those given; a field is an option with `-` for `_`.

    Others mean nothing here and are left alone. A field's default has its type; `number` checks
    one that is a number: the option's name, the field's, the value given.

    Raises:
        EngineError: an option is of another type.
    """
    known = {name.replace("_", "-"): name for name in vars(defaults)}

    def value(shown: str, value: Any) -> Any:
        usual = getattr(defaults, known[shown])
        if isinstance(usual, bool):
            if isinstance(value, bool):
                return value
            raise EngineError(f"option {shown} is true or false, given was {value!r}")
        if isinstance(usual, str):
            if isinstance(value, str) and "\0" not in value:
                return value
            raise EngineError(f"option {shown} is a text, given was {value!r}")
        return number(shown, known[shown], value)

    return replace(before, **{known[n]: value(n, v) for n, v in given.items() if n in known})
