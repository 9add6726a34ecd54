"""whisper.cpp behind the engine Protocol: read a model, hear, and give the text piece by piece.

To WASI-NN it is a language model whose prompt is sound: the text comes in segments, where a
language model's comes in tokens.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from wasmlrun.engines.language import Facts, Wishes
from wasmlrun.engines.protocol import About, Context, EngineError, Port, Settings
from wasmlrun.engines.shared import SharedModel
from wasmlrun.engines.whisper.capi import GREEDY, FullParams
from wasmlrun.engines.whisper.capi import load as load_library
from wasmlrun.engines.whisper.model_file import check
from wasmlrun.engines.whisper.options import WhisperOptions, read_options
from wasmlrun.engines.whisper.sound import samples_of
from wasmlrun.support.model_source import ModelSource
from wasmlrun.support.tasks import processors
from wasmlrun.support.tensor import DType

_BYTES = (-1,)
INPUTS = (Port("sound", _BYTES, DType.U8), Port("options", _BYTES, DType.U8))
OUTPUTS = (Port("text", _BYTES, DType.U8), Port("metadata", _BYTES, DType.U8))


class Whisper:
    """whisper.cpp's runtime; the library is loaded at the first use."""

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
        """The library's version. Raises EngineError."""
        return str(self._library().whisper_version().decode())

    def devices(self) -> Sequence[str]:
        """The processor: the wheels of the package index are built for nothing else."""
        return ("CPU",)

    def load(
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> WhisperGraph:
        """Read a model. Raises EngineError."""
        if device not in self.devices():
            raise EngineError(f"whisper.cpp has no device {device} here")
        lib = self._library()
        data = source.parts[0]
        check(data)
        underway()
        params = lib.whisper_context_default_params()
        params.use_gpu = False
        model = lib.whisper_init_from_buffer_with_params_no_state(data, len(data), params)
        if model is None:
            raise EngineError("whisper.cpp does not read the file: it is damaged, or too new")
        first = source.parts[1] if len(source.parts) > 1 else b""
        return WhisperGraph(lib, SharedModel(model, lib.whisper_free), first, self._threads)

    def _library(self) -> ctypes.CDLL:
        with self._lock:
            if self._lib is None:
                self._lib = load_library()
            return self._lib


class WhisperGraph:
    """A model of speech. It is talked to; as a graph of tensors it cannot be opened."""

    inputs: Sequence[Port] = INPUTS
    outputs: Sequence[Port] = OUTPUTS

    def __init__(
        self, lib: ctypes.CDLL, model: SharedModel[int], first: bytes, threads: int
    ) -> None:
        """`first` are the options that came with the model."""
        self._lib = lib
        self._model: SharedModel[int] | None = model
        self._first = first
        self._threads = threads

    def open(self) -> Context:
        """Not possible. Raises EngineError."""
        raise EngineError("a model of speech takes sound, no tensors")

    def converse(self, given: bytes) -> WhisperContext:
        """A new recognition. Raises EngineError, also when the graph was closed."""
        if self._model is None:
            raise EngineError("the graph was closed")
        chosen = WhisperOptions()
        for data in (self._first, given):
            if data:
                chosen = read_options(data, chosen)
        return WhisperContext(self._lib, self._model, chosen, self._threads)

    def close(self) -> None:
        """Free the model; contexts that are open stay usable."""
        if self._model is not None:
            self._model.release()
            self._model = None


class WhisperContext:
    """One recognition. All of the sound is heard before the first piece of text is given."""

    def __init__(
        self, lib: ctypes.CDLL, model: SharedModel[int], chosen: WhisperOptions, threads: int
    ) -> None:
        model.share()
        self._model = model
        self._lib = lib
        self._options = chosen
        self._threads = threads
        self._samples = b""
        self._state: int | None = None
        self._segments = 0
        self._given = 0
        self._tokens = 0
        self._closed = False

    @property
    def wishes(self) -> Wishes:
        """What the options so far say."""
        return Wishes(stream=self._options.stream_stdout)

    @property
    def facts(self) -> Facts:
        """How many tokens the text given so far has."""
        return Facts(0, self._tokens, 0, "unknown")

    def configure(self, options: bytes) -> None:
        """Take options. Raises EngineError."""
        self._options = read_options(options, self._options)

    def prompt(self, text: bytes) -> None:
        """Take sound: a WAV file, or samples. Raises EngineError."""
        self._samples = samples_of(text)
        self.reset()

    def begin(self) -> None:
        """Hear all of it. Raises EngineError."""
        if self._closed:
            raise EngineError("the context was closed")
        if not self._samples:
            raise EngineError("there is no sound")
        self.reset()
        if self._state is None:
            self._state = self._lib.whisper_init_state(self._model.pointer)
            if self._state is None:
                raise EngineError("whisper.cpp cannot begin: there is not enough memory")
        count = len(self._samples) // 4
        status = self._lib.whisper_full_with_state(
            self._model.pointer, self._state, self._params(), self._samples, count
        )
        if status != 0:
            raise EngineError(f"whisper.cpp failed with status {status}")
        self._segments = self._lib.whisper_full_n_segments_from_state(self._state)

    def advance(self) -> bytes | None:
        """The next segment's text, None at the end."""
        if self._given >= self._segments:
            return None
        text = self._lib.whisper_full_get_segment_text_from_state(self._state, self._given)
        self._tokens += self._lib.whisper_full_n_tokens_from_state(self._state, self._given)
        self._given += 1
        return text or b""

    def embedding(self) -> list[float]:
        """Not possible. Raises EngineError."""
        raise EngineError("a model of speech gives text, no vector")

    def reset(self) -> None:
        """Forget what was heard; the sound stays."""
        self._segments = self._given = self._tokens = 0

    def close(self) -> None:
        """Free what the recognition holds."""
        if not self._closed:
            self._closed = True
            if self._state is not None:
                self._lib.whisper_free_state(self._state)
                self._state = None
            self._model.release()

    def _params(self) -> FullParams:
        """whisper.cpp's own, with what the options say. Raises EngineError."""
        chosen = self._options
        params: FullParams = self._lib.whisper_full_default_params(GREEDY)
        params.n_threads = min(chosen.threads or self._threads, self._threads)
        params.print_progress = params.print_timestamps = params.print_realtime = False
        params.translate = chosen.translate
        params.offset_ms = max(chosen.offset_time, 0)
        params.duration_ms = max(chosen.duration_time, 0)
        if chosen.max_context >= 0:
            params.n_max_text_ctx = chosen.max_context
        params.max_len = max(chosen.max_len, 0)
        params.token_timestamps = chosen.max_len > 0
        params.split_on_word = chosen.split_on_word
        if chosen.prompt:
            params.initial_prompt = chosen.prompt.encode()
        language = "auto" if chosen.detect_language else chosen.language
        if not self._lib.whisper_is_multilingual(self._model.pointer):
            language = "en"
        elif language != "auto" and self._lib.whisper_lang_id(language.encode()) < 0:
            raise EngineError(f"option language: {language!r} is not known to whisper.cpp")
        params.language = language.encode()
        return params
