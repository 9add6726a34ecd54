"""What the child of the server does that chats: one conversation at a time, step by step.

Its owner opens a conversation and asks for more of it until it is at its end. So an owner whose
client has left only stops asking. Models stay loaded; every conversation has a fresh context.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, cast

from wasmlrun.engines.language import (
    ChatGraph,
    ContextFullError,
    LanguageContext,
    PromptTooLongError,
)
from wasmlrun.engines.protocol import EngineError, NoEngineError
from wasmlrun.host import EngineChoice, Host
from wasmlrun.manifest.grant import Grant
from wasmlrun.pipeline.plan import find_model
from wasmlrun.pipeline.trusted import with_gate
from wasmlrun.serve.chat_text import Speech
from wasmlrun.supervisor.answering import Handler
from wasmlrun.supervisor.channel import EMPTY, Message
from wasmlrun.supervisor.stages import Board, Stage
from wasmlrun.support.errors import BadModel, UsageFault
from wasmlrun.support.limits import Limits, with_limits
from wasmlrun.support.messages import Messages
from wasmlrun.support.process import bound_memory

STOP, LENGTH = "stop", "length"
"""Why a text ended: by itself or at a text that was named; or at a limit of tokens or time."""


def begin(opening: Message, board: Board, say: Callable[[str], None]) -> Handler:
    """What a child of this kind does; see `wasmlrun.supervisor.answering`. Raises WasmlrunError."""
    board.careful = True
    settings = opening.head
    os.chdir(settings["folder"])
    limits = with_limits(Limits(), settings["limits"])
    bound_memory(limits.process_memory)
    return Chats(settings, limits, board, Messages.through(say)).answer


class Chats:
    """The models of this child, and the conversation that is open."""

    def __init__(
        self, settings: Mapping[str, Any], limits: Limits, board: Board, messages: Messages
    ) -> None:
        self._limits = limits
        self._context_tokens = int(settings["context"])
        self._host = Host.of_choice(cast("EngineChoice", settings), board, messages)
        self._trusted_keys = settings["trusted_keys"]
        self._graphs = [self._loaded(model) for model in settings["models"]]
        self._open: _Conversation | None = None

    def answer(self, message: Message) -> Message:
        """The answer to one call. Raises WasmlrunError."""
        match message.head["op"]:
            case "open":
                return self._begin(message.head)
            case "more":
                return self._more(float(message.head["seconds"]))
            case "close":
                self._close()
                return EMPTY
            case other:
                raise UsageFault(f"there is no {other}")

    def _loaded(self, name: str) -> ChatGraph:
        _, source, _ = find_model(name)
        with_gate(Grant(), [source], self._trusted_keys, cache=self._host.cache)
        engines = self._host.graphs.engines
        try:
            with self._host.board.doing(Stage.MODEL, name):
                engine = engines.choose(source.encoding)
                graph = self._host.graphs.load(source, engine, engines.device(engine, "cpu"))
                if not isinstance(graph, ChatGraph):
                    raise EngineError(f"the engine {engine.about.name} does not chat")
                graph.chat_prompt([("user", "hello")])  # a form that is not known is told at once
        except NoEngineError as e:
            raise BadModel(f"model {name} cannot be used: {e}", e.hint) from e
        except EngineError as e:
            raise BadModel(
                f"model {name} cannot be chatted with: {e}", "use one that was tuned for chats"
            ) from e
        return graph

    def _begin(self, head: Mapping[str, Any]) -> Message:
        self._close()
        graph = self._graphs[int(head["model"])]
        options = {**head["options"], "ctx-size": self._context_tokens}
        try:
            prompt = graph.chat_prompt([(role, text) for role, text in head["messages"]])
            context = graph.converse(json.dumps(options).encode())
        except EngineError as e:
            raise UsageFault(str(e)) from e
        most = self._limits.tokens
        wanted = head["most"]
        known = [tokens for tokens in (wanted, most) if tokens is not None]
        self._open = _Conversation(
            context, self._host.board, head["stops"], min(known, default=None), head["seconds"]
        )
        try:
            return Message({"prompt_tokens": self._open.read(prompt)})
        except PromptTooLongError as e:
            self._close()
            return Message({"too_long": str(e)})
        except EngineError as e:
            self._close()
            # what a request asks for is wrong: a grammar, an option out of range
            raise UsageFault(str(e)) from e

    def _more(self, seconds: float) -> Message:
        conversation = self._open
        if conversation is None:
            raise UsageFault("no conversation is open")
        try:
            text, finish = conversation.go_on(time.monotonic() + seconds)
        except EngineError as e:
            self._close()
            raise BadModel(f"the model does not go on: {e}") from e
        if finish is not None:
            self._close()
        head = {"text": text, "finish": finish, "tokens": conversation.tokens}
        return Message(head)

    def _close(self) -> None:
        conversation, self._open = self._open, None
        if conversation is not None:
            conversation.close()


class _Conversation:
    """One answer that is being written."""

    def __init__(
        self,
        context: LanguageContext,
        board: Board,
        stops: list[str],
        most: int | None,
        seconds: float,
    ) -> None:
        """`most` are the tokens that it may have, `seconds` its whole time."""
        self._context = context
        self._board = board
        self._speech = Speech(stops)
        self._most = most
        self._deadline = time.monotonic() + seconds
        self.tokens = 0

    def read(self, prompt: bytes) -> int:
        """Read the prompt; its tokens. Raises EngineError."""
        with self._board.doing(Stage.INFERENCE, "a prompt"):
            self._context.prompt(prompt)
            self._context.begin()
        return self._context.facts.input_tokens

    def go_on(self, until: float) -> tuple[str, str | None]:
        """What comes until then, one token at least, and why it ended, if it did.

        Raises:
            EngineError
        """
        text: list[str] = []
        finish: str | None = None
        with self._board.doing(Stage.INFERENCE, "an answer"):
            while finish is None:
                finish = self._step(text)
                if time.monotonic() >= until:
                    break
        if finish is not None:
            text.append(self._speech.rest())
        return "".join(text), finish

    def _step(self, text: list[str]) -> str | None:
        if self.tokens == self._most or time.monotonic() >= self._deadline:
            return LENGTH
        try:
            piece = self._context.advance()
        except ContextFullError:
            return LENGTH
        self.tokens += 1
        if piece is None:
            return STOP
        text.append(self._speech.take(piece))
        return STOP if self._speech.stopped else None

    def close(self) -> None:
        """Free what the engine holds for it."""
        self._context.close()
