"""Commands as data, and the quick reading of a command line.

click reads command lines, writes help and says what is wrong with them; importing it takes a
quarter of a warm run. So a command whose start counts is described here, click's own form is
made of that description when it is needed (`wasmlrun.commands.line.clickform`), and `read` reads by
itself the command lines about which there is nothing to say. About any other it gives no answer,
and click reads it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from wasmlrun.support.records import Record

N = TypeVar("N", int, float)


class Kind(Protocol):
    """What an option's or argument's words are read as."""

    def read(self, word: str) -> Any:
        """The value of a word. Raises ValueError for one that is, or may be, no such value."""


class Text(Record):
    """Any word, taken as it is."""

    def read(self, word: str) -> str:
        """The word itself, unchanged."""
        return word


class File(Record):
    """A path; whether anything is there is another question."""

    def read(self, word: str) -> Path:
        """The path that the word names."""
        return Path(word)


class Name(Record):
    """A file, or one of the names that `of` (of `wasmlrun.commands.completion`) lists."""

    of: str = ""
    """Nothing: files alone."""

    def read(self, word: str) -> str:
        """Any word; what is behind it is found later."""
        return word


class Whole(Record):
    """A whole number, in a range if there is one."""

    least: int = 0
    most: int | None = None

    def read(self, word: str) -> int:
        """Digits alone. Raises ValueError for signs, spaces, other alphabets."""
        if not (word.isascii() and word.isdigit() and len(word) < 20):
            raise ValueError
        return _within(int(word), self.least, self.most)


class Number(Record):
    """A number, in a range if there is one."""

    above: float | None = None
    most: float | None = None

    def read(self, word: str) -> float:
        """Digits and at most one point."""
        if not (word.isascii() and word.replace(".", "", 1).isdigit() and len(word) < 20):
            raise ValueError
        value = float(word)
        if self.above is not None and value <= self.above:
            raise ValueError
        return _within(value, 0.0, self.most)


class Choice(Record):
    """One of some words."""

    values: tuple[str, ...]
    case_sensitive: bool = True

    def read(self, word: str) -> str:
        """Only as it is written here."""
        if word not in self.values:
            raise ValueError
        return word


class Size(Record):
    """A number of bytes, as `512M` or `2G` too (1024-based)."""

    most: int

    def read(self, word: str) -> int:
        """Raises ValueError when it is no size above 0."""
        match = re.fullmatch(r"([0-9]+)([KMG]?)(?:i?B)?", word, re.IGNORECASE | re.ASCII)
        size = int(match[1]) * FACTORS[match[2].upper()] if match else 0
        if not 0 < size <= self.most:
            raise ValueError(f"{word!r} is no size: write 1000000, 512M or 2G")
        return size


class Flag(Record):
    """Given or not; nothing follows it."""

    def read(self, word: str) -> bool:
        """It has no words. Raises ValueError."""
        raise ValueError


class Count(Record):
    """How often it was given; nothing follows it."""

    def read(self, word: str) -> int:
        """It has no words. Raises ValueError."""
        raise ValueError


class Option(Record):
    """An option of a command."""

    flags: tuple[str, ...]
    name: str
    """Of the parameter that takes its value."""
    help: str
    kind: Kind = Text()
    metavar: str | None = None
    default: Any = None
    show_default: bool = False
    multiple: bool = False
    words: int = 1
    """How many words follow it, where it is no flag."""
    required: bool = False
    """Whether the command cannot do without."""


class Argument(Record):
    """An argument of a command."""

    name: str
    metavar: str | None = None
    many: bool = False
    required: bool = True
    kind: Name | None = None
    """What a shell may complete it to."""


class Command(Record):
    """A command: its parameters and what it does with them."""

    name: str
    run: Callable[..., int]
    """Its docstring is the command's help."""
    parameters: tuple[Option | Argument, ...]


QUIET = Option(("-q", "--quiet"), "quiet", "Say nothing but errors.", Flag())
VERBOSE = Option(
    ("-v", "--verbose"), "verbosity", "Say more; errors with their traceback.", Count()
)
VERBOSITY = (QUIET, VERBOSE)
"""They are one parameter, `verbosity`."""

FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def read(command: Command, words: Sequence[str]) -> dict[str, Any] | None:
    """The values of a command's parameters, None where click should look at the words.

    What this reads, click reads the same.
    """
    options = {flag: p for p in command.parameters if isinstance(p, Option) for flag in p.flags}
    arguments = [p for p in command.parameters if isinstance(p, Argument)]
    given: dict[str, list[Any]] = {}
    places: list[str] = []
    waiting = list(words)
    try:
        while waiting:
            word = waiting.pop(0)
            if word == "--":
                places += waiting
                break
            if word == "-" or not word.startswith("-"):
                places.append(word)
                continue
            flag, equals, rest = word.partition("=")
            option = options[flag]
            if option.words != 1 or (equals and not flag.startswith("--")):
                return None
            if isinstance(option.kind, (Flag, Count)):
                if equals:
                    return None
                value = True
            else:
                value = option.kind.read(rest if equals else _value(waiting))
            given.setdefault(option.name, []).append(value)
    except (KeyError, ValueError):
        return None
    values: dict[str, Any] = {}
    for option in options.values():
        found = given.get(option.name, [])
        if len(found) > 1 and not option.multiple and not isinstance(option.kind, (Flag, Count)):
            return None
        if option.required and not found:
            return None
        values[option.name] = _folded(option, found)
    if not _place(arguments, places, values):
        return None
    if values.pop(QUIET.name, False):
        values[VERBOSE.name] = -1
    return values


def _value(waiting: list[str]) -> str:
    """The word that follows an option. Raises ValueError when it may be meant as another."""
    if not waiting or (waiting[0].startswith("-") and waiting[0] != "-"):
        raise ValueError
    return waiting.pop(0)


def _folded(option: Option, found: list[Any]) -> Any:
    """What an option's parameter gets for all that was given."""
    if isinstance(option.kind, Flag):
        return bool(found)
    if isinstance(option.kind, Count):
        return len(found)
    if option.multiple:
        return tuple(found)
    return found[0] if found else option.default


def _place(arguments: list[Argument], places: list[str], values: dict[str, Any]) -> bool:
    """Give the arguments their words; False when there are too few or too many."""
    for argument in arguments:
        if argument.many:
            if argument.required and not places:
                return False
            values[argument.name], places = tuple(places), []
        elif places:
            values[argument.name], *places = places
        else:
            return False
    return not places


def _within(value: N, least: N, most: N | None) -> N:
    if value < least or (most is not None and value > most):
        raise ValueError
    return value
