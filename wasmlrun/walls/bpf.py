"""A filter of system calls, assembled: the few instructions of classic BPF that it takes.

A program is a list of instructions and labels. Jumps name labels, which come after them; what is
not jumped over is fallen through.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from wasmlrun.support.records import Record

# linux/seccomp.h: what the filter looks at, and what it may answer
_NUMBER_AT, _ARCHITECTURE_AT, _ARGUMENTS_AT = 0, 4, 16
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
# linux/bpf_common.h
_LOAD, _RETURN = 0x20, 0x06
_EQUAL, _AT_LEAST, _ANY_BIT = 0x15, 0x35, 0x45


class Label(Record):
    """A place to jump to."""

    name: str


class Load(Record):
    """Load 32 bits of what the filter looks at."""

    offset: int


class Jump(Record):
    """Jump to a label if the loaded word fits, else to `otherwise` or to the next instruction."""

    kind: int
    word: int
    label: str
    otherwise: str | None = None


class Return(Record):
    """End with this answer to the kernel."""

    answer: int


Instruction = Label | Load | Jump | Return


def number() -> Load:
    """Load the call's number."""
    return Load(_NUMBER_AT)


def caller() -> Load:
    """Load the architecture whose numbers these are."""
    return Load(_ARCHITECTURE_AT)


def argument(index: int) -> Load:
    """Load the lower half of an argument (both architectures are little-endian)."""
    return Load(_ARGUMENTS_AT + 8 * index)


def equal(word: int, label: str, otherwise: str | None = None) -> Jump:
    """Jump if the loaded word is this one."""
    return Jump(_EQUAL, word, label, otherwise)


def at_least(word: int, label: str) -> Jump:
    """Jump if the loaded word is this one or a larger."""
    return Jump(_AT_LEAST, word, label)


def any_bit(word: int, label: str, otherwise: str | None = None) -> Jump:
    """Jump if the loaded word has any of these bits."""
    return Jump(_ANY_BIT, word, label, otherwise)


def allow() -> Return:
    """The call is made."""
    return Return(_ALLOW)


def refuse(errno: int) -> Return:
    """The call is not made and fails with this number."""
    return Return(_ERRNO | errno)


def assembled(program: Sequence[Instruction]) -> bytes:
    """The program as an array of `struct sock_filter`.

    Raises ValueError for a label that is missing, behind, or too far away.
    """
    places: dict[str, int] = {}
    at = 0
    for step in program:
        if isinstance(step, Label):
            places[step.name] = at
        else:
            at += 1
    code = bytearray()
    for step in program:
        here = len(code) // 8
        if isinstance(step, Load):
            code += struct.pack("<HBBI", _LOAD, 0, 0, step.offset)
        elif isinstance(step, Return):
            code += struct.pack("<HBBI", _RETURN, 0, 0, step.answer)
        elif isinstance(step, Jump):
            then = _distance(here, step.label, places)
            otherwise = 0 if step.otherwise is None else _distance(here, step.otherwise, places)
            code += struct.pack("<HBBI", step.kind, then, otherwise, step.word)
    return bytes(code)


def _distance(here: int, label: str, places: dict[str, int]) -> int:
    distance = places.get(label, -1) - here - 1
    if not 0 <= distance <= 255:
        raise ValueError(f"no label {label} within reach")
    return distance
