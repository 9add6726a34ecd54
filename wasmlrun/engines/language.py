"""What engines of language models have beside the usual: text goes in, and comes token by token.

Graphs of such engines open `LanguageContext`s. The rules of a conversation (how many tokens,
when to stop, what a guest reads) are WASI-NN's part; an engine only goes on by one token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from wasmlrun.engines.protocol import EngineError, Graph
from wasmlrun.support.records import Record


class ContextFullError(EngineError):
    """No token more fits the context."""


class PromptTooLongError(EngineError):
    """The prompt has more tokens than the context holds."""


class Wishes(Record):
    """What a guest's options say of a computation, beyond what the engine itself looks after."""

    predict: int = -1
    """How many tokens at most; below 0, until the text ends."""
    stream: bool = False
    """Whether each piece of text also goes to the guest's stdout as it comes."""
    stop: str = ""
    """A text at which the computation ends, if it is not empty."""
    embedding: bool = False
    """A vector of the prompt is wanted instead of text."""


class Facts(Record):
    """What is told of a context's last prompt and of the engine."""

    input_tokens: int
    output_tokens: int
    build_number: int
    """Of llama.cpp, or 0 for an engine that has none."""
    commit: str


class LanguageContext(Protocol):
    """One conversation's state. Not for several threads at once."""

    @property
    def wishes(self) -> Wishes:
        """What the options so far say."""

    @property
    def facts(self) -> Facts:
        """What there is to tell now."""

    def configure(self, options: bytes) -> None:
        """Take options, a JSON object in UTF-8; those not named stay. Raises EngineError."""

    def prompt(self, text: bytes) -> None:
        """Take a prompt, UTF-8; what was generated before is forgotten. Raises EngineError."""

    def begin(self) -> None:
        """Read the prompt, from its start.

        Raises:
            PromptTooLongError: it has too many tokens. EngineError: there is none.
        """

    def advance(self) -> bytes | None:
        """Generate one token; its text, which may be part of a character. None at the end.

        Raises:
            ContextFullError: the context has no room for it.
        """

    def embedding(self) -> list[float]:
        """A vector of the prompt, of length 1 in the Euclidean norm. Raises as `begin` does."""

    def reset(self) -> None:
        """Forget what was generated; the prompt stays."""

    def close(self) -> None:
        """Free what the engine holds for this context; a second time does nothing."""


@runtime_checkable
class LanguageGraph(Graph, Protocol):
    """A language model that is ready."""

    def converse(self, options: bytes) -> LanguageContext:
        """A new conversation. `options` are JSON, or empty. Raises EngineError."""


@runtime_checkable
class ChatGraph(LanguageGraph, Protocol):
    """A language model that was made for chats, and says how it wants them written."""

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> bytes:
        """The prompt of a chat, each message (role, text), up to where the model is to answer.

        Raises:
            EngineError: the model has no form for chats, or one that is not known.
        """
