"""Chats with a small language model, through OpenAI's own client and without."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from kit.language import language_model
from kit.needs import needs
from kit.served import SECONDS, Served

QUESTION = {"role": "user", "content": "What is the capital of France?"}
ANSWER = "The capital of France is Paris."
ENDLESS = {
    "type": "json_schema",
    "json_schema": {
        "name": "numbers",
        "schema": {"type": "array", "items": {"type": "integer"}, "minItems": 200},
    },
}
"""A form that no context has room for."""


@pytest.fixture(scope="module")
def environment(own_home: Mapping[str, str]) -> dict[str, str]:
    return {**os.environ, **own_home}


@pytest.fixture(scope="module")
def served(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    words = ["--model", f"smol={language_model()}", "--context", "160"]
    words += ["--queue", "1", "--timeout", "120"]
    with Served(*words, env=environment, cwd=tmp_path_factory.mktemp("chat")) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Any:
    needs("openai", "openai")
    from openai import OpenAI

    base = f"http://127.0.0.1:{served.port}/v1"
    return OpenAI(base_url=base, api_key="none", max_retries=0, timeout=SECONDS)


def ask(client: Any, **fields: Any) -> Any:
    given = {"model": "smol", "messages": [QUESTION], "temperature": 0, **fields}
    return client.chat.completions.create(**given)


def post(served: Served, **fields: Any) -> Any:
    body = {"model": "smol", "messages": [QUESTION], "temperature": 0, **fields}
    return served.ask("POST", "/v1/chat/completions", json.dumps(body).encode())


def test_the_models(client: Any) -> None:
    from openai import NotFoundError

    assert [model.id for model in client.models.list()] == ["smol"]
    assert client.models.retrieve("smol").owned_by == "wasmlrun"
    with pytest.raises(NotFoundError, match="there is no model other; there are: smol"):
        client.models.retrieve("other")


def test_an_answer(client: Any) -> None:
    answer = ask(client)
    assert answer.object == "chat.completion"
    choice = answer.choices[0]
    assert (choice.message.role, choice.message.content) == ("assistant", ANSWER)
    assert choice.finish_reason == "stop"
    usage = answer.usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (16, 8, 24)


def test_a_stream_says_the_same(client: Any) -> None:
    pieces = list(ask(client, stream=True, stream_options={"include_usage": True}))
    assert pieces[0].choices[0].delta.role == "assistant"
    texts = [c.delta.content for piece in pieces for c in piece.choices if c.delta.content]
    assert "".join(texts) == ANSWER
    assert len(texts) > 1
    assert [c.finish_reason for piece in pieces for c in piece.choices][-1] == "stop"
    assert pieces[-1].choices == []
    assert pieces[-1].usage.completion_tokens == 8
    assert len({piece.id for piece in pieces}) == 1


def test_a_stream_is_of_events(served: Served) -> None:
    reply = post(served, stream=True)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    *events, last, rest = reply.body.split(b"\n\n")
    assert (last, rest) == (b"data: [DONE]", b"")
    assert all(event.startswith(b"data: {") for event in events)


def test_it_ends_at_tokens_and_at_texts(client: Any) -> None:
    short = ask(client, max_tokens=3).choices[0]
    assert (short.message.content, short.finish_reason) == ("The capital of", "length")
    stopped = ask(client, stop=["France", "is"]).choices[0]
    assert (stopped.message.content, stopped.finish_reason) == ("The capital of ", "stop")


def test_messages_before_are_known(client: Any) -> None:
    said = [
        {"role": "system", "content": "You are helpful."},
        {"role": "user", "content": "Say: Ada Ada Ada"},
        {"role": "assistant", "content": "Ada Ada Ada"},
        {"role": "user", "content": [{"type": "text", "text": "Say it again."}]},
    ]
    answer = ask(client, messages=said, max_tokens=20)
    assert "Ada" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 40


def test_the_same_seed_says_the_same(client: Any) -> None:
    def told(seed: int) -> str:
        text = ask(client, seed=seed, temperature=1.5, max_tokens=12).choices[0].message.content
        return str(text)

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_a_form_is_kept(client: Any) -> None:
    schema = {"enum": ["certainly", "never"]}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    text = ask(client, response_format=form).choices[0].message.content
    assert json.loads(text) in ("certainly", "never")


def test_what_does_not_fit_is_refused_as_openai_does(client: Any) -> None:
    from openai import BadRequestError

    with pytest.raises(BadRequestError) as caught:
        ask(client, messages=[{"role": "user", "content": "word " * 2000}])
    assert caught.value.code == "context_length_exceeded"
    assert "tokens" in caught.value.message
    # and the next one is answered
    assert ask(client).choices[0].message.content == ANSWER


@pytest.mark.parametrize(
    ("fields", "status", "param", "words"),
    [
        ({"model": "other"}, 404, "model", "there is no model other; there are: smol"),
        ({"tools": [{"type": "function"}]}, 400, "tools", "tools is not supported here"),
        ({"messages": []}, 400, "messages", "a list of messages"),
    ],
)
def test_errors_have_openais_form(
    served: Served, fields: dict[str, Any], status: int, param: str, words: str
) -> None:
    reply = post(served, **fields)
    assert reply.status == status
    error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert words in error["message"]


def test_a_schema_that_is_none(served: Served) -> None:
    form = {"type": "json_schema", "json_schema": {"schema": {"$ref": "#/nowhere"}}}
    reply = post(served, response_format=form)
    assert reply.status == 400
    assert "json-schema is not understood" in reply.json["error"]["message"]


def test_other_methods_and_bodies(served: Served) -> None:
    assert served.get("/v1/chat/completions").status == 405
    assert served.ask("POST", "/v1/models").json["error"]["type"] == "invalid_request_error"
    assert served.get("/v1/other").status == 404
    assert served.ask("POST", "/v1/chat/completions", b"{").status == 400
    large = served.ask("POST", "/v1/chat/completions", b"x" * ((1 << 20) + 1))
    assert (large.status, large.json["error"]["code"]) == (413, "too-large")


def test_it_is_described_and_counted(served: Served) -> None:
    paths = served.get("/openapi.json").json["paths"]
    assert "/v1/chat/completions" in paths
    assert "/classify" not in paths
    assert b'route="/v1/chat/completions"' in served.get("/metrics").body


def test_a_client_that_leaves_ends_its_answer(served: Served, client: Any) -> None:
    before = served.children()
    stream = ask(client, stream=True, response_format=ENDLESS)
    for piece in stream:
        if piece.choices[0].delta.content:
            break
    stream.close()
    assert ask(client).choices[0].message.content == ANSWER
    assert b'wasmlrun_requests_total{route="gone",status="200"} 1.0' in served.get("/metrics").body
    assert served.children() == before  # nothing had to be made anew


def test_a_full_context_ends_the_text(client: Any) -> None:
    answer = ask(client, response_format=ENDLESS)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.total_tokens in range(154, 162)


def test_who_waits_too_many_is_told_when_to_come_again(served: Served, client: Any) -> None:
    from openai import InternalServerError

    running = [ask(client, stream=True, response_format=ENDLESS)]
    next(iter(running[0]))
    import threading

    second = threading.Thread(target=post, args=(served,))
    second.start()
    until = time.monotonic() + SECONDS
    while b"wasmlrun_queue_length 1.0" not in served.get("/metrics").body:
        assert time.monotonic() < until
    with pytest.raises(InternalServerError) as caught:
        ask(client)
    assert caught.value.status_code == 503
    assert caught.value.response.headers["retry-after"] == "1"
    running[0].close()
    second.join()


def test_a_crash_costs_its_own_answer_alone(served: Served, client: Any) -> None:
    from openai import APIError

    stream = ask(client, stream=True, response_format=ENDLESS)
    next(iter(stream))
    for child in served.children():
        os.kill(child, signal.SIGKILL)
    with pytest.raises(APIError, match="killed by the system"):
        list(stream)
    assert ask(client).choices[0].message.content == ANSWER


def test_time_that_is_over_ends_the_text(
    environment: dict[str, str], client: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    from openai import OpenAI

    words = ["--model", f"smol={language_model()}", "--timeout", "8", "--max-tokens", "100000"]
    with Served(*words, env=environment, cwd=tmp_path_factory.mktemp("slow")) as server:
        base = f"http://127.0.0.1:{server.port}/v1"
        hurried = OpenAI(base_url=base, api_key="none", max_retries=0, timeout=SECONDS)
        answer = ask(hurried, response_format=ENDLESS)
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens > 0


def test_a_model_that_does_not_chat(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    import subprocess
    import sys

    folder = tmp_path_factory.mktemp("mute")
    data = language_model().read_bytes()
    mute = folder / "mute.gguf"
    # the same length: a key that nobody asks for
    mute.write_bytes(data.replace(b"tokenizer.chat_template", b"tokenizer.chat_tomplate", 1))
    ended = subprocess.run(
        [sys.executable, "-m", "wasmlrun", "serve", "--port", "0", "--model", str(mute)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ended.returncode != 0
    assert "has no chat template" in ended.stderr
    assert "hint: use one that was tuned for chats" in ended.stderr
