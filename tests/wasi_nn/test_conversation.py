"""What a guest of WasmEdge meets with a language model: inputs, outputs, endings, limits."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import pytest
from kit.core_guests import At, Call, Player, record, u32s
from kit.fakes import FakeEngine

from wasmlrun.engines.language import ContextFullError, Facts, PromptTooLongError, Wishes
from wasmlrun.engines.pool import EnginePool
from wasmlrun.engines.protocol import Context, EngineError, Port
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import LimitExceeded
from wasmlrun.support.limits import Limits
from wasmlrun.support.model_source import Encoding, ModelSource
from wasmlrun.support.tensor import DType, Tensor
from wasmlrun.wasi_nn.errors import NnErrno, NnError
from wasmlrun.wasi_nn.graphs import GraphPool
from wasmlrun.wasi_nn.session import Session

MODEL = ModelSource(Encoding.GGML, (b"GGUFmodel",))


class Parrot:
    """A conversation that repeats its prompt word by word."""

    def __init__(self, options: bytes) -> None:
        self._options: dict[str, object] = {}
        self._words: list[bytes] = []
        self._said = 0
        self.closed = False
        if options:
            self.configure(options)

    @property
    def wishes(self) -> Wishes:
        o = self._options
        return Wishes(
            int(str(o.get("n-predict", -1))),
            bool(o.get("stream-stdout")),
            str(o.get("reverse-prompt", "")),
            bool(o.get("embedding")),
        )

    @property
    def facts(self) -> Facts:
        return Facts(len(self._words), self._said, 7, "abc")

    def configure(self, options: bytes) -> None:
        try:
            self._options |= json.loads(options)
        except ValueError:
            raise EngineError("the options are not JSON") from None

    def prompt(self, text: bytes) -> None:
        self._words = text.split()
        self._said = 0

    def begin(self) -> None:
        if len(self._words) > 9:
            raise PromptTooLongError("too many words")
        self._said = 0

    def advance(self) -> bytes | None:
        if self._said == len(self._words):
            return None
        self._said += 1
        word = self._words[self._said - 1]
        if word == b"full":
            raise ContextFullError("no more fits")
        if word == b"fail":
            raise EngineError("it failed")
        return word + b" "

    def embedding(self) -> list[float]:
        return [0.6, 0.8]

    def reset(self) -> None:
        self._said = 0

    def close(self) -> None:
        self.closed = True


class ParrotGraph:
    inputs: Sequence[Port] = (Port("prompt", (-1,), DType.U8), Port("options", (-1,), DType.U8))
    outputs: Sequence[Port] = (Port("text", (-1,), DType.U8), Port("metadata", (-1,), DType.U8))

    def __init__(self) -> None:
        self.talks: list[Parrot] = []

    def open(self) -> Context:
        raise EngineError("it takes prompts, no tensors")

    def converse(self, options: bytes) -> Parrot:
        self.talks.append(Parrot(options))
        return self.talks[-1]

    def close(self) -> None:
        pass


class ParrotEngine(FakeEngine):
    """The fake engine, with a language model for every GGUF."""

    def load(  # type: ignore[override]
        self, source: ModelSource, device: str, underway: Callable[[], None] = lambda: None
    ) -> ParrotGraph:
        self.graph = ParrotGraph()
        return self.graph


def text(content: str) -> Tensor:
    return Tensor((len(content),), DType.U8, content.encode())


class Talk:
    """A session with one context of the parrot."""

    def __init__(self, options: str = "", **limits: int) -> None:
        engine = ParrotEngine()
        self.session = Session(
            GraphPool(EnginePool.of(engine), Board()), {"default": MODEL}, limits=Limits(**limits)
        )
        self.said = b""
        self.session.say = self._say
        graph = self.session.load_by_name("default", options=options.encode())
        self.context = self.session.init_execution_context(graph)
        self.engine = engine

    def _say(self, piece: bytes) -> None:
        self.said += piece

    def prompt(self, words: str) -> Talk:
        self.session.set_input(self.context, 0, text(words))
        return self

    def compute(self) -> Talk:
        self.session.compute(self.context)
        return self

    def output(self, index: int = 0) -> str:
        return bytes(self.session.output(self.context, index).data).decode()

    def single(self) -> str:
        self.session.compute(self.context, single=True)
        return bytes(self.session.output(self.context, 0, single=True).data).decode()

    def fails(self, call: Callable[[], object]) -> NnError:
        with pytest.raises(NnError) as caught:
            call()
        return caught.value


def test_a_prompt_becomes_text_and_metadata() -> None:
    talk = Talk().prompt("good morning to you").compute()
    assert talk.output() == "good morning to you "
    assert json.loads(talk.output(1)) == {
        "input_tokens": 4,
        "output_tokens": 4,
        "llama_build_number": 7,
        "llama_commit": "abc",
    }


def test_metadata_of_a_prompt_is_there_before_it_was_computed() -> None:
    assert json.loads(Talk().prompt("one two").output(1))["input_tokens"] == 2


def test_the_next_prompt_starts_anew() -> None:
    talk = Talk().prompt("one").compute().prompt("two three").compute()
    assert talk.output() == "two three "


def test_options_come_with_the_model_or_as_the_second_input_and_the_later_win() -> None:
    talk = Talk('{"n-predict": 2}').prompt("a b c d").compute()
    assert talk.output() == "a b "
    talk.session.set_input(talk.context, 1, text('{"n-predict": 3}'))
    assert talk.compute().output() == "a b c "


def test_a_text_at_which_to_stop() -> None:
    assert Talk('{"reverse-prompt": "b"}').prompt("a b c").compute().output() == "a b "


def test_text_goes_to_the_guests_stdout_as_it_comes_if_it_is_asked_for() -> None:
    talk = Talk('{"stream-stdout": true}').prompt("a b").compute()
    assert (talk.said, talk.output()) == (b"a b ", "a b ")
    assert Talk().prompt("a b").compute().said == b""


def test_a_vector_is_json() -> None:
    talk = Talk('{"embedding": true}').prompt("a b").compute()
    assert json.loads(talk.output()) == {"n_embedding": 2, "embedding": [0.6, 0.8]}


def test_one_token_at_a_time_until_the_sequence_ends() -> None:
    talk = Talk().prompt("a b")
    assert [talk.single(), talk.single()] == ["a ", "b "]
    error = talk.fails(talk.single)
    assert (int(error.errno), error.is_fault) == (100, False)
    assert talk.output() == "a b "
    talk.session.fini_single(talk.context)
    assert talk.single() == "a "


def test_one_token_at_a_time_ends_after_as_many_as_were_asked_for() -> None:
    talk = Talk('{"n-predict": 1}').prompt("a b")
    assert talk.single() == "a "
    assert talk.fails(talk.single).errno == 100


def test_what_was_said_before_the_context_was_full_is_kept() -> None:
    talk = Talk().prompt("a full b")
    error = talk.fails(talk.compute)
    assert (int(error.errno), error.is_fault) == (101, True)
    assert talk.output() == "a "


def test_a_prompt_that_is_too_long_has_its_own_number() -> None:
    talk = Talk().prompt("a b c d e f g h i j")
    assert talk.fails(talk.compute).errno == 102
    assert talk.fails(talk.single).errno == 102


def test_a_failure_of_the_engine_is_a_runtime_error() -> None:
    talk = Talk().prompt("fail")
    error = talk.fails(talk.compute)
    assert (error.errno, error.message) == (NnErrno.RUNTIME_ERROR, "compute: it failed")


def test_options_that_are_no_json_are_refused() -> None:
    talk = Talk()
    error = talk.fails(lambda: talk.session.set_input(talk.context, 1, text("temp=1")))
    assert error.message == "set_input: the options are not JSON"
    with pytest.raises(NnError, match="init_execution_context: the options are not JSON"):
        Talk("temp=1")


def test_without_a_prompt_nothing_is_computed() -> None:
    talk = Talk()
    assert talk.fails(talk.compute).errno == NnErrno.INVALID_ARGUMENT


def test_generated_tokens_are_limited() -> None:
    talk = Talk(tokens=2).prompt("a b c d")
    with pytest.raises(LimitExceeded, match="the tokens limit of 2 tokens was reached") as caught:
        talk.compute()
    assert caught.value.limit == "tokens"
    assert "--max-tokens" in (caught.value.hint or "")
    single = Talk(tokens=1).prompt("a b")
    single.single()
    with pytest.raises(LimitExceeded):
        single.single()


def test_a_registered_model_can_be_loaded_as_bytes_that_name_it() -> None:
    talk = Talk()
    handle = talk.session.load([b"preload:default", b"{}"], Encoding.GGML, "auto")
    assert talk.session.init_execution_context(handle)
    error = talk.fails(lambda: talk.session.load([b"preload:/etc/passwd"], Encoding.GGML, "cpu"))
    assert (int(error.errno), error.message) == (103, "load: no model is named '/etc/passwd'")


def test_a_component_gives_and_takes_all_by_name() -> None:
    talk = Talk()
    answers = dict(talk.session.compute_named(talk.context, [("prompt", text("a b"))]))
    assert bytes(answers["text"].data) == b"a b "
    assert json.loads(bytes(answers["metadata"].data))["output_tokens"] == 2


def test_contexts_are_closed_with_the_session() -> None:
    talk = Talk().prompt("a")
    talk.session.close()
    assert [parrot.closed for parrot in talk.engine.graph.talks] == [True]


# --- as a guest sees it --------------------------------------------------------------------------

NAME, CONFIG, WORDS, DIMS, RECORD, BUFFER = 16, 64, 128, 256, 272, 512
GRAPH, CONTEXT, WRITTEN = 320, 324, 328


def memory(prompt: bytes, config: bytes, *, dims: int) -> dict[int, bytes]:
    return {
        NAME: b"default",
        CONFIG: config,
        WORDS: prompt,
        DIMS: u32s(dims),
        RECORD: record(DIMS, 1, 2, WORDS, len(prompt)),
    }


def test_wasmedge_guests_talk_token_by_token_and_may_say_any_dims(play: Player) -> None:
    prompt, config = b"a b", b'{"n-predict": 5}'
    calls: list[Call] = [
        ("load_by_name_with_config", NAME, 7, CONFIG, len(config), GRAPH),
        ("init_execution_context", At(GRAPH), CONTEXT),
        ("set_input", At(CONTEXT), 0, RECORD),
        ("get_output", At(CONTEXT), 1, BUFFER + 256, 1024, WRITTEN),
        ("compute_single", At(CONTEXT)),
        ("get_output_single", At(CONTEXT), 0, BUFFER, 64, WRITTEN),
        ("compute_single", At(CONTEXT)),
        ("compute_single", At(CONTEXT)),
        ("get_output", At(CONTEXT), 0, BUFFER + 16, 64, WRITTEN),
        ("get_output", At(CONTEXT), 0, BUFFER + 16, 3, WRITTEN),
        ("fini_single", At(CONTEXT)),
    ]
    content = memory(prompt, config, dims=1)  # as LlamaEdge's own guests say it
    played = play(calls, content, engine=ParrotEngine(), models={"default": MODEL})
    assert played.errnos == [0, 0, 0, 0, 0, 0, 0, 100, 0, 7, 0]
    assert played.memory[BUFFER : BUFFER + 2] == b"a "
    assert played.memory[BUFFER + 16 : BUFFER + 20] == b"a b "


@pytest.mark.parametrize(("prompt", "errno"), [(b"a full", 101), (b"1 2 3 4 5 6 7 8 9 10", 102)])
def test_wasmedge_guests_are_told_why_a_computation_ended(
    play: Player, prompt: bytes, errno: int
) -> None:
    calls: list[Call] = [
        ("load_by_name", NAME, 7, GRAPH),
        ("init_execution_context", At(GRAPH), CONTEXT),
        ("set_input", At(CONTEXT), 0, RECORD),
        ("compute", At(CONTEXT)),
    ]
    content = memory(prompt, b"", dims=len(prompt))
    played = play(calls, content, engine=ParrotEngine(), models={"default": MODEL})
    assert played.errnos == [0, 0, 0, errno]
