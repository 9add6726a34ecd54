"""WASI-NN's errors: a number for the guest, a sentence for the person."""

from __future__ import annotations

from enum import IntEnum


class NnErrno(IntEnum):
    """WASI-NN's error numbers (crate 0.5 and later; 1, 4 and 5 mean the same since 0.2)."""

    INVALID_ARGUMENT = 1
    INVALID_ENCODING = 2
    MISSING_MEMORY = 3
    BUSY = 4
    RUNTIME_ERROR = 5
    UNSUPPORTED_OPERATION = 6
    TOO_LARGE = 7
    NOT_FOUND = 8


class Ending(IntEnum):
    """WasmEdge's error numbers, which only guests of language models know."""

    END_OF_SEQUENCE = 100
    CONTEXT_FULL = 101
    PROMPT_TOO_LONG = 102
    MODEL_NOT_FOUND = 103


class Ended(Exception):
    """A computation came to an end before its time; not a fault of anybody."""

    def __init__(self, how: Ending, message: str) -> None:
        super().__init__(message)
        self.how = how
        self.message = message


class NnError(Exception):
    """A WASI-NN call that failed: a number for the guest and a sentence for the person."""

    def __init__(self, errno: NnErrno | Ending, message: str, *, model: bool = False) -> None:
        super().__init__(message)
        self.errno = errno
        self.message = message
        self.model = model
        """Whether the model is to blame rather than the guest."""

    @property
    def is_fault(self) -> bool:
        """Whether something went wrong; the end of a text is no fault."""
        return self.errno is not Ending.END_OF_SEQUENCE
