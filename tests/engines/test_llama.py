"""llama.cpp with a real, small language model."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kit.language import language_model
from kit.needs import needs

from wasmlrun.engines import registry
from wasmlrun.engines.language import (
    ChatGraph,
    ContextFullError,
    LanguageContext,
    LanguageGraph,
    PromptTooLongError,
)
from wasmlrun.engines.llama.options import LlamaOptions, read_options
from wasmlrun.engines.protocol import EngineError, Graph, Settings
from wasmlrun.support.model_source import Encoding, ModelSource, read_model

QUESTION = b"<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n"
Converse = Callable[..., LanguageContext]


@pytest.fixture(scope="session")
def smollm() -> Path:
    return language_model()


@pytest.fixture(scope="module")
def graph(smollm: Path) -> Iterator[LanguageGraph]:
    loaded: Graph = registry.get("llama", Settings()).load(read_model(smollm), "CPU")
    assert isinstance(loaded, LanguageGraph)
    yield loaded
    loaded.close()


@pytest.fixture
def converse(graph: LanguageGraph) -> Iterator[Converse]:
    opened: list[LanguageContext] = []

    def start(**chosen: object) -> LanguageContext:
        named = {name.replace("_", "-"): value for name, value in chosen.items()}
        opened.append(graph.converse(json.dumps({"ctx-size": 256, "temp": 0, **named}).encode()))
        return opened[-1]

    yield start
    for context in opened:
        context.close()


def said(context: LanguageContext, prompt: bytes, most: int = 24) -> str:
    context.prompt(prompt)
    context.begin()
    pieces: list[bytes] = []
    while len(pieces) < most and (piece := context.advance()) is not None:
        pieces.append(piece)
    return b"".join(pieces).decode()


def test_it_answers_a_question(converse: Converse) -> None:
    context = converse()
    assert said(context, QUESTION) == "The capital of France is Paris."
    facts = context.facts
    assert facts.input_tokens == 16
    assert facts.output_tokens == 8  # the last one ends the text
    assert facts.build_number > 0


def test_the_same_seed_gives_the_same_text_and_another_another(converse: Converse) -> None:
    story = b"Once upon a time"
    texts = [said(converse(temp=1.5, seed=seed), story, 12) for seed in (1, 1, 2)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
    assert said(converse(temp=1.5), story, 12) == said(converse(temp=1.5), story, 12)


def test_a_grammar_and_a_schema_bind_the_answer(converse: Converse) -> None:
    assert said(converse(grammar='root ::= "Rome" | "Oslo"'), QUESTION) in ("Rome", "Oslo")
    schema = {
        "type": "object",
        "properties": {"capital": {"type": "string"}},
        "required": ["capital"],
    }
    answer = json.loads(said(converse(json_schema=json.dumps(schema)), QUESTION))
    assert "Paris" in answer["capital"]


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"grammar": "nonsense("}, "option grammar is not understood"),
        ({"json_schema": "{"}, "option json-schema is not understood"),
    ],
)
def test_a_grammar_that_is_none_is_refused_without_noise(
    converse: Converse, chosen: dict[str, str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    context = converse(**chosen)
    context.prompt(QUESTION)
    with pytest.raises(EngineError, match=message):
        context.begin()
    assert capfd.readouterr() == ("", "")


def test_texts_alike_have_vectors_alike(converse: Converse) -> None:
    context = converse(embedding=True)

    def vector(text: bytes) -> list[float]:
        context.prompt(text)
        return context.embedding()

    def alike(one: list[float], other: list[float]) -> float:
        return sum(a * b for a, b in zip(one, other, strict=True))

    cat, kitten, shares = map(vector, (b"The cat sits", b"A kitten is sitting", b"Stocks fell"))
    assert len(cat) == 576
    assert alike(cat, cat) == pytest.approx(1)
    assert alike(cat, kitten) > alike(cat, shares) + 0.1


def test_a_prompt_that_does_not_fit_is_refused(converse: Converse) -> None:
    context = converse(ctx_size=32)
    context.prompt(b"word " * 40)
    with pytest.raises(PromptTooLongError, match=r"the prompt has 4. tokens, 28 fit"):
        context.begin()
    vector = converse(embedding=True, batch_size=16)
    vector.prompt(b"word " * 20)
    with pytest.raises(PromptTooLongError, match="a batch 16"):
        vector.embedding()


def test_a_full_context_is_told(converse: Converse) -> None:
    context = converse(ctx_size=24, ignore_eos=True)
    context.prompt(QUESTION)
    context.begin()
    for _ in range(8):
        context.advance()
    with pytest.raises(ContextFullError, match="the context of 24 tokens is full"):
        context.advance()


def test_a_prompt_longer_than_a_batch_is_read_in_parts(converse: Converse) -> None:
    assert said(converse(batch_size=5), QUESTION) == "The capital of France is Paris."


def test_contexts_outlive_their_graph_and_closing_twice_does_nothing(smollm: Path) -> None:
    loaded = registry.get("llama", Settings()).load(read_model(smollm), "CPU")
    assert isinstance(loaded, LanguageGraph)
    context = loaded.converse(b'{"ctx-size": 128, "temp": 0}')
    loaded.close()
    loaded.close()
    assert said(context, QUESTION).startswith("The capital")
    with pytest.raises(EngineError, match="the graph was closed"):
        loaded.converse(b"")
    context.close()
    context.close()
    with pytest.raises(EngineError, match="the context was closed"):
        context.begin()


def test_without_a_prompt_there_is_nothing_to_begin_with(converse: Converse) -> None:
    with pytest.raises(EngineError, match="there is no prompt"):
        converse().begin()


@pytest.mark.parametrize("data", [b"GGUF", b"GGUF" + bytes(200), b"GGUF\3\0\0\0" + b"\xff" * 64])
def test_a_damaged_model_is_refused(data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    needs("xllamacpp", "xllamacpp")
    engine = registry.get("llama", Settings())
    with pytest.raises(EngineError, match="damaged, or too new"):
        engine.load(ModelSource(Encoding.GGML, (data,)), "CPU")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (b"temp", "the options are not JSON"),
        (b"[1]", "the options are no JSON object"),
        (b'{"temp": "hot"}', "option temp is a number, given was 'hot'"),
        (b'{"temp": NaN}', "option temp is a number, given was nan"),
        (b'{"n-predict": 1.5}', "option n-predict is a whole number"),
        (b'{"n-predict": Infinity}', "option n-predict is a whole number"),
        (b'{"n-predict": true}', "option n-predict is a whole number"),
        (b'{"batch-size": 0}', "option batch-size is a whole number from 1 on, given was 0"),
        (b'{"ctx-size": 99999999999}', "option ctx-size is a whole number"),
        (b'{"embedding": 1}', "option embedding is true or false, given was 1"),
        (b'{"grammar": ["x"]}', "option grammar is a text"),
        (b'{"mmproj": "see.gguf"}', "option mmproj: models that see pictures"),
        (b'{"tts": true}', "option tts: models that speak"),
        (b"[" * 100_000, "the options are not JSON"),
    ],
)
def test_options_of_the_wrong_kind_are_refused_by_name(given: bytes, message: str) -> None:
    with pytest.raises(EngineError) as caught:
        read_options(given)
    assert str(caught.value).startswith(message)


def test_options_that_mean_nothing_here_are_left_alone() -> None:
    given = {"enable-log": True, "n-gpu-layers": 99, "use-mmap": False, "temp": 1, "image": ""}
    assert read_options(json.dumps(given).encode()) == LlamaOptions(temp=1.0)


@pytest.mark.parametrize(
    "schema",
    ['{"$ref": "#/nowhere"}', '{"type": "nonsense"}', '{"type": "string", "pattern": "("}'],
)
def test_a_schema_that_is_not_understood_is_not_ignored(converse: Converse, schema: str) -> None:
    with pytest.raises(EngineError, match="option json-schema is not understood"):
        said(converse(json_schema=schema), QUESTION)


@pytest.mark.parametrize("rule", ["nowhere", '"\x1b[2J', "(" * 20_000])
def test_a_grammar_that_is_not_understood_is_not_ignored(
    converse: Converse, rule: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nor shown: its own words would reach the terminal."""
    with pytest.raises(EngineError, match="option grammar is not understood"):
        said(converse(grammar=f"%llguidance {{}}\nstart: {rule}"), QUESTION)
    assert capfd.readouterr() == ("", "")


WILD = (-(1 << 31), -1, 0, 1, (1 << 31) - 1, (1 << 32) - 1, 1 << 63, 1e308, -1e308, 1e-320)


NUMBERS = [name for name, usual in vars(LlamaOptions()).items() if isinstance(usual, (int, float))]


@pytest.mark.parametrize("name", NUMBERS)
def test_wild_values_are_refused_or_computed_with(converse: Converse, name: str) -> None:
    for value in WILD:
        told = ""
        try:
            said(converse(**{name: value}), QUESTION, 1)
        except EngineError as e:
            told = str(e)
        assert not told or re.search(f"option {name.replace('_', '-')} is|context|prompt", told)


def test_a_chat_becomes_a_prompt(graph: LanguageGraph) -> None:
    assert isinstance(graph, ChatGraph)
    prompt = graph.chat_prompt([("user", "What is the capital of France?")])
    assert prompt.endswith(QUESTION)
    both = graph.chat_prompt([("system", "Be kind."), ("user", "hé" * 5000)])
    assert both.startswith(b"<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nh\xc3\xa9")
    assert both.endswith(b"<|im_end|>\n<|im_start|>assistant\n")
