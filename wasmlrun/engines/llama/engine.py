"""llama.cpp behind the engine Protocol: read a GGUF file, converse."""

from __future__ import annotations

import ctypes
import math
import os
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import c_int32, create_string_buffer

from wasmlrun.engines.language import (
    ContextFullError,
    Facts,
    PromptTooLongError,
    Wishes,
)
from wasmlrun.engines.llama.capi import load as load_library
from wasmlrun.engines.llama.chat import prompt_of
from wasmlrun.engines.llama.options import LlamaOptions, read_options
from wasmlrun.engines.llama.sampling import chain
from wasmlrun.engines.protocol import About, Context, EngineError, Port, Settings
from wasmlrun.engines.shared import SharedModel
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.tasks import processors
from wasmlrun.support.tensor import DType

_SPECIAL = 4
"""Tokens that a context keeps free of the prompt, as WasmEdge has it."""
_BYTES = (-1,)
INPUTS = (Port("prompt", _BYTES, DType.U8), Port("options", _BYTES, DType.U8))
OUTPUTS = (Port("text", _BYTES, DType.U8), Port("metadata", _BYTES, DType.U8))


class Llama:
    """llama.cpp's runtime; the library is loaded at the first use."""

    def __init__(self, about: About, settings: Settings) -> None:
        self.about = about
        self._threads = settings.threads or processors()
        self._lock = threading.Lock()
        self._lib: ctypes.CDLL | None = None

    def prepare(self) -> None:
        """Load the library. What goes wrong is told when a model is loaded."""
        with suppress(EngineError):
            self._library()

    def version(self) -> str:
        """The wheel's version, whose last number is llama.cpp's build."""
        from importlib.metadata import version

        return version(self.about.distribution)

    def devices(self) -> Sequence[str]:
        """The processor: the wheels of the package index are built for nothing else."""
        return ("CPU",)

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> LlamaGraph:
        """Read a model. Raises EngineError."""
        if device not in self.devices():
            raise EngineError(f"llama.cpp has no device {device} here")
        lib = self._library()
        underway()
        with _as_file(source.parts[0]) as path:
            model = lib.llama_model_load_from_file(path, lib.llama_model_default_params())
        if model is None:
            raise EngineError("llama.cpp does not read the file: it is damaged, or too new")
        first = source.parts[1] if len(source.parts) > 1 else b""
        build = self.version().rpartition(".")[2]
        number = int(build) if build.isdigit() else 0
        return LlamaGraph(_Model(lib, model), first, self._threads, number)

    def _library(self) -> ctypes.CDLL:
        with self._lock:
            if self._lib is None:
                self._lib = load_library()
            return self._lib


class _Model(SharedModel[int]):
    """A loaded model, with the library it is of."""

    def __init__(self, lib: ctypes.CDLL, pointer: int) -> None:
        super().__init__(pointer, lib.llama_model_free)
        self.lib = lib
        self.vocab: int = lib.llama_model_get_vocab(pointer)


class LlamaGraph:
    """A language model. It is conversed with; as a graph of tensors it cannot be opened."""

    inputs: Sequence[Port] = INPUTS
    outputs: Sequence[Port] = OUTPUTS

    def __init__(self, model: _Model, first: bytes, threads: int, build: int) -> None:
        """`first` are the options that came with the model."""
        self._model: _Model | None = model
        self._first = first
        self._threads = threads
        self._build = build

    def open(self) -> Context:
        """Not possible. Raises EngineError."""
        raise EngineError("a language model takes prompts, no tensors")

    def converse(self, given: bytes) -> LlamaContext:
        """A new conversation. Raises EngineError, also when the graph was closed."""
        if self._model is None:
            raise EngineError("the graph was closed")
        chosen = LlamaOptions()
        for data in (self._first, given):
            if data:
                chosen = read_options(data, chosen)
        return LlamaContext(self._model, chosen, self._threads, self._build)

    def chat_prompt(self, messages: Sequence[tuple[str, str]]) -> bytes:
        """The prompt that a chat is to this model. Raises EngineError."""
        if self._model is None:
            raise EngineError("the graph was closed")
        return prompt_of(self._model.lib, self._model.pointer, messages)

    def close(self) -> None:
        """Free the model; contexts that are open stay usable."""
        if self._model is not None:
            self._model.release()
            self._model = None


class LlamaContext:
    """One conversation. What its options ask for is made when the first prompt comes."""

    def __init__(self, model: _Model, chosen: LlamaOptions, threads: int, build: int) -> None:
        model.share()
        self._model = model
        self._lib = model.lib
        self._options = chosen
        self._threads = threads
        self._build = build
        self._context: int | None = None
        self._sampler: int | None = None
        self._tokens: list[int] = []
        self._position = 0
        self._generated = 0
        self._closed = False

    @property
    def wishes(self) -> Wishes:
        """What the options so far say."""
        o = self._options
        return Wishes(o.n_predict, o.stream_stdout, o.reverse_prompt, o.embedding)

    @property
    def facts(self) -> Facts:
        """What there is to tell now; the wheel does not know its commit."""
        return Facts(len(self._tokens), self._generated, self._build, "unknown")

    def configure(self, given: bytes) -> None:
        """Take options; what depends on a changed one is made anew. Raises EngineError."""
        before, self._options = self._options, read_options(given, self._options)
        if self._options != before:
            self._free()

    def prompt(self, text: bytes) -> None:
        """Take a prompt. Raises EngineError."""
        room = len(text) + 8
        tokens = (c_int32 * room)()
        count = self._lib.llama_tokenize(
            self._model.vocab, text, len(text), tokens, room, True, True
        )
        if count < 0:
            raise EngineError("the prompt cannot be made tokens")
        self._tokens = list(tokens[:count])
        self.reset()

    def begin(self) -> None:
        """Read the prompt. Raises PromptTooLongError or EngineError."""
        if not self._tokens:
            raise EngineError("there is no prompt")
        context = self._ready()
        self.reset()
        most = max(self._size(context) - _SPECIAL, 0)
        if len(self._tokens) > most:
            raise PromptTooLongError(f"the prompt has {len(self._tokens)} tokens, {most} fit")
        self._lib.llama_memory_clear(self._lib.llama_get_memory(context), True)
        step = self._lib.llama_n_batch(context)
        for start in range(0, len(self._tokens), step):
            self._read(context, self._tokens[start : start + step])

    def advance(self) -> bytes | None:
        """Generate one token. Raises ContextFullError or EngineError."""
        context = self._ready()
        if not self._position:
            raise EngineError("the prompt was not read")
        assert self._sampler is not None
        token = self._lib.llama_sampler_sample(self._sampler, context, -1)
        self._generated += 1
        ends = self._lib.llama_vocab_is_eog(self._model.vocab, token)
        if ends and not self._options.ignore_eos:
            return None
        piece = self._piece(token)
        if self._position >= self._size(context):
            raise ContextFullError(f"the context of {self._position} tokens is full")
        self._read(context, [token])
        return piece

    def embedding(self) -> list[float]:
        """The model's own pooling of the prompt, else its last token's vector."""
        context = self._ready()
        if len(self._tokens) > self._lib.llama_n_batch(context):
            raise PromptTooLongError(
                f"the prompt has {len(self._tokens)} tokens, a batch {self._options.batch_size}"
            )
        self.begin()
        vector = self._lib.llama_get_embeddings_seq(context, 0)
        if not vector:
            vector = self._lib.llama_get_embeddings_ith(context, -1)
        if not vector:
            raise EngineError("the model gives no embedding")
        values = vector[: self._lib.llama_model_n_embd(self._model.pointer)]
        length = math.sqrt(math.fsum(v * v for v in values)) or 1.0
        return [v / length for v in values]

    def reset(self) -> None:
        """Forget what was generated."""
        self._position = 0
        self._generated = 0

    def close(self) -> None:
        """Free the context and its sampler."""
        if not self._closed:
            self._closed = True
            self._free()
            self._model.release()

    def _ready(self) -> int:
        """llama.cpp's context, made as the options say. Raises EngineError."""
        if self._closed:
            raise EngineError("the context was closed")
        if self._context is None:
            self._context = self._made()
        if self._sampler is None:
            self._sampler = chain(self._lib, self._model.vocab, self._options)
        return self._context

    def _made(self) -> int:
        chosen = self._options
        params = self._lib.llama_context_default_params()
        params.n_ctx = chosen.ctx_size
        params.n_batch = chosen.batch_size
        # a vector is made of the whole prompt at once
        params.n_ubatch = chosen.batch_size if chosen.embedding else chosen.ubatch_size
        made: int | None = self._lib.llama_init_from_model(self._model.pointer, params)
        if made is None:
            raise EngineError(
                f"llama.cpp cannot make a context of {chosen.ctx_size or 'all its'} tokens: "
                "there is not enough memory, or an option is out of range"
            )
        threads = min(chosen.threads or self._threads, self._threads)
        self._lib.llama_set_n_threads(made, threads, threads)
        self._lib.llama_set_embeddings(made, chosen.embedding)
        return made

    def _size(self, context: int) -> int:
        """Tokens that the context holds."""
        # llama.cpp rounds up to whole blocks; the guest was promised what it asked for
        whole: int = self._lib.llama_n_ctx(context)
        return min(whole, self._options.ctx_size or whole)

    def _read(self, context: int, tokens: Sequence[int]) -> None:
        batch = (c_int32 * len(tokens))(*tokens)
        model = self._model.pointer
        only_encodes = self._lib.llama_model_has_encoder(
            model
        ) and not self._lib.llama_model_has_decoder(model)
        read = self._lib.llama_encode if only_encodes else self._lib.llama_decode
        status = read(context, self._lib.llama_batch_get_one(batch, len(tokens)))
        if status == 1:
            raise ContextFullError(f"the context is full after {self._position} tokens")
        if status != 0:
            raise EngineError(f"llama.cpp failed with status {status}")
        self._position += len(tokens)

    def _piece(self, token: int) -> bytes:
        room = 64
        while True:
            text = create_string_buffer(room)
            size = self._lib.llama_token_to_piece(self._model.vocab, token, text, room, 0, True)
            if size >= 0:
                return text.raw[:size]
            room = -size

    def _free(self) -> None:
        self._position = 0
        if self._sampler is not None:
            self._lib.llama_sampler_free(self._sampler)
            self._sampler = None
        if self._context is not None:
            self._lib.llama_free(self._context)
            self._context = None


@contextmanager
def _as_file(data: bytes) -> Iterator[bytes]:
    """The path of a file with these bytes, for as long as llama.cpp opens it.

    In memory where that can be, so that they are on no disk and gone with the model.
    """
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("model.gguf")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as file:
                file.write(data)
            yield f"/proc/self/fd/{descriptor}".encode()
        finally:
            os.close(descriptor)
        return
    with tempfile.NamedTemporaryFile(suffix=".gguf") as named:
        named.write(data)
        named.flush()
        yield os.fsencode(named.name)
