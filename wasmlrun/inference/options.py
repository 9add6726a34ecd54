"""The keys that a kind of input or output has of its own, read from its table of a manifest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from wasmlrun.support.errors import BadManifest
from wasmlrun.support.records import Record, defaults


class Options(Record):
    """A kind's keys are the fields, and their defaults say of which type a value must be.

    A whole number may stand for any number, and a number for a list of one.
    """


O = TypeVar("O", bound=Options)  # noqa: E741 - as R is a record


def read_options(
    kind: type[O],
    table: Mapping[str, Any],
    choices: Mapping[str, Sequence[str]],
    prefix: str,
    where: str,
) -> O:
    """The options that a table sets; `choices` are the strings that a key may have.

    Raises:
        BadManifest: a key is not known, or its value not of the kind that it must be.
    """
    known = defaults(kind)
    chosen = {}
    for key, value in table.items():
        check_known(key, tuple(known), prefix, where)
        chosen[key] = _typed(value, known[key], f"{where}: {prefix}{key}")
        if key in choices and value not in choices[key]:
            raise BadManifest(
                f"{where}: {prefix}{key} is {value!r}", f"possible: {', '.join(choices[key])}"
            )
    return kind(**chosen)


def check_known(key: str, names: Sequence[str], prefix: str, where: str) -> None:
    """Refuse a key that is none of these. Raises BadManifest."""
    if key in names:
        return
    from difflib import get_close_matches

    near = get_close_matches(key, names, 1, 0.5)
    raise BadManifest(
        f"{where}: {prefix}{key} is not a known key",
        f"did you mean {prefix}{near[0]}?" if near else f"known here: {', '.join(names)}",
    )


def _typed(value: Any, default: Any, key: str) -> Any:
    if isinstance(default, tuple):
        values = value if isinstance(value, list) else [value]
        if all(map(_is_number, values)):
            return tuple(values)
        raise BadManifest(f"{key} must be a number or a list of numbers")
    if isinstance(default, bool):
        if isinstance(value, bool):
            return value
        raise BadManifest(f"{key} must be true or false")
    if isinstance(default, float):
        if _is_number(value):
            return float(value)
        raise BadManifest(f"{key} must be a number")
    if isinstance(default, int):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise BadManifest(f"{key} must be a whole number")
    if not isinstance(value, str):
        raise BadManifest(f"{key} must be a string")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
