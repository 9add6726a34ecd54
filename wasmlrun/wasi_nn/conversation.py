"""WASI-NN's rules for language models, as guests of WasmEdge know them (encoding ggml).

Input 0 is a prompt and input 1 a JSON object of options, both as bytes of any shape; output 0 is
the text, or a vector as JSON, and output 1 what is told of the computation. `compute` goes on
to the end, `compute_single` by one token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wasmlrun.engines.language import ContextFullError, LanguageContext, PromptTooLongError
from wasmlrun.support.limits import Limits, exceeded
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn.errors import Ended, Ending

PROMPT, OPTIONS = 0, 1
TEXT, METADATA = 0, 1


class Conversation:
    """One context of a language model."""

    needed = (PROMPT,)
    """The inputs without which nothing can be computed."""

    def __init__(
        self, context: LanguageContext, limits: Limits, say: Callable[[bytes], None]
    ) -> None:
        """`say` writes to the guest's stdout, for guests that want text there as it comes."""
        self._context = context
        self._limits = limits
        self._say = say
        self._text = b""
        self._last = b""
        self._single = False

    def set_input(self, index: int, data: bytes) -> None:
        """Take a prompt or options. Raises EngineError."""
        if index == OPTIONS:
            self._context.configure(data)
            return
        self._context.prompt(data)
        self._forget()

    def compute(self) -> None:
        """Generate until the text ends, or a vector. Raises Ended, EngineError, LimitExceeded."""
        with _told():
            self._forget()
            if self._context.wishes.embedding:
                vector = self._context.embedding()
                shown = ",".join(f"{value:.10g}" for value in vector)
                self._text = f'{{"n_embedding": {len(vector)}, "embedding": [{shown}]}}'.encode()
                return
            wishes = self._context.wishes
            stop = wishes.stop.encode()
            self._context.begin()
            while self._context.facts.output_tokens < wishes.predict or wishes.predict < 0:
                piece = self._advance()
                if piece is None:
                    return
                if wishes.stream:
                    self._say(piece)
                if stop and stop in self._text:
                    return

    def compute_single(self) -> None:
        """Generate one token. Raises Ended, also at the end of the text, and as `compute`."""
        with _told():
            if not self._single:
                self._forget()
                self._context.begin()
                self._single = True
            predict = self._context.wishes.predict
            if 0 <= predict <= self._context.facts.output_tokens or self._advance() is None:
                raise Ended(Ending.END_OF_SEQUENCE, "the text is at its end")

    def output(self, index: int) -> Tensor:
        """All the text so far, or what is told of it."""
        return _bytes(self._text if index == TEXT else self._metadata())

    def output_single(self, index: int) -> Tensor:
        """The text of the last token, or what is told of the computation."""
        return _bytes(self._last if index == TEXT else self._metadata())

    def fini_single(self) -> None:
        """The end of a computation token by token."""
        self._forget()

    def close(self) -> None:
        """Free what the engine holds for it; nothing is called afterwards."""
        self._context.close()

    def _advance(self) -> bytes | None:
        done, most = self._context.facts.output_tokens, self._limits.tokens
        if most is not None and done >= most:
            raise exceeded("tokens", most, "the guest wants one more")
        piece = self._context.advance()
        self._last = piece or b""
        self._text += self._last
        return piece

    def _forget(self) -> None:
        self._context.reset()
        self._text = self._last = b""
        self._single = False

    def _metadata(self) -> bytes:
        facts = self._context.facts
        import json  # only here: a run without a language model needs none

        return json.dumps(
            {
                "input_tokens": facts.input_tokens,
                "output_tokens": facts.output_tokens,
                "llama_build_number": facts.build_number,
                "llama_commit": facts.commit,
            }
        ).encode()


def _bytes(data: bytes) -> Tensor:
    return Tensor((len(data),), DType.U8, data)


@contextmanager
def _told() -> Iterator[None]:
    """An engine's word for an end is the guest's."""
    try:
        yield
    except ContextFullError as e:
        raise Ended(Ending.CONTEXT_FULL, str(e)) from e
    except PromptTooLongError as e:
        raise Ended(Ending.PROMPT_TOO_LONG, str(e)) from e
