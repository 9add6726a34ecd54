"""OpenAI's forms: what is read from a request, and what is refused, by name."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from wasmlrun.serve import openai
from wasmlrun.serve.openai import ChatRequest, Completion, Rejected

HELLO = [{"role": "user", "content": "hello"}]


def parsed(**fields: Any) -> ChatRequest:
    return openai.parse(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())


def test_a_request_of_the_least() -> None:
    request = parsed(user="somebody", store=True, tools=[], n=1)
    assert (request.model, request.messages) == ("m", [("user", "hello")])
    assert (request.stops, request.most, request.stream, request.usage) == ([], None, False, False)
    seed = request.options["seed"]
    assert 0 <= seed < 1 << 31
    assert {**request.options, "seed": 0} == {
        **{"temp": 1.0, "top-p": 1.0, "presence-penalty": 0.0, "frequency-penalty": 0.0},
        **{"top-k": 0, "min-p": 0.0, "seed": 0},
    }


def test_a_request_of_the_most() -> None:
    request = parsed(
        messages=[
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": t} for t in ("a", "b")]},
            {"role": "assistant", "content": "c"},
        ],
        temperature=0,
        top_p=0.5,
        seed=-1,
        stop=["x", "y"],
        max_tokens=3,
        stream=True,
        stream_options={"include_usage": True},
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"a": 1}}},
    )
    assert request.messages == [("system", "be kind"), ("user", "ab"), ("assistant", "c")]
    options = request.options
    assert (options["temp"], options["top-p"], options["seed"]) == (0, 0.5, (1 << 31) - 1)
    assert json.loads(options["json-schema"]) == {"a": 1}
    assert (request.stops, request.most, request.stream, request.usage) == (
        ["x", "y"],
        3,
        True,
        True,
    )
    assert parsed(max_completion_tokens=2, max_tokens=9).most == 2
    assert "json-schema" not in parsed(response_format={"type": "text"}).options
    assert parsed(response_format={"type": "json_object"}).options["json-schema"]


@pytest.mark.parametrize(
    ("fields", "param", "words"),
    [
        ({"model": ""}, "model", "model: a text is wanted"),
        ({"model": 3}, "model", "model: a text is wanted"),
        ({"messages": []}, "messages", "a list of messages"),
        ({"messages": HELLO * 5000}, "messages", "more than 4096"),
        ({"messages": ["x"]}, "messages[0].role", "a role is wanted that is one of system"),
        ({"messages": [{"role": "tool"}]}, "messages[0].role", "a role is wanted"),
        ({"messages": [*HELLO, {"role": "user"}]}, "messages[1].content", "may be text alone"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content",
            "may be text alone",
        ),
        ({"messages": [{"role": "user", "content": "a\0b"}]}, "messages[0].content", "no text"),
        ({"messages": [{"role": "user", "content": "\ud800"}]}, "messages[0].content", "no text"),
        ({"temperature": 3}, "temperature", "a number from 0 to 2"),
        ({"temperature": True}, "temperature", "a number"),
        ({"top_p": "1"}, "top_p", "a number from 0 to 1"),
        ({"seed": 1.5}, "seed", "a whole number"),
        ({"max_tokens": 0}, "max_tokens", "from 1 on"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens", "from 1 on"),
        ({"stop": [""]}, "stop", "up to 4"),
        ({"stop": list("abcde")}, "stop", "up to 4"),
        ({"stream": 1}, "stream", "true or false"),
        ({"stream_options": {}}, "stream_options", "only with stream"),
        ({"n": 2}, "n", "one answer"),
        ({"tools": [{}]}, "tools", "tools is not supported"),
        ({"logprobs": True}, "logprobs", "not supported"),
        ({"modalities": ["audio"]}, "modalities", "text alone"),
        ({"response_format": {"type": "xml"}}, "response_format", "json_object"),
        ({"response_format": {"type": "json_schema"}}, "response_format", "with a schema"),
        ({"response_format": "json"}, "response_format", "json_object"),
    ],
)
def test_what_is_refused(fields: dict[str, Any], param: str, words: str) -> None:
    with pytest.raises(Rejected, match=re.escape(words)) as caught:
        parsed(**fields)
    assert (caught.value.status, caught.value.param) == (400, param)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "no JSON object"),
    ],
)
def test_what_is_no_request(body: bytes, words: str) -> None:
    with pytest.raises(Rejected, match=words):
        openai.parse(body)


def test_errors_have_the_type_that_their_status_has() -> None:
    kinds = {s: openai.error_form(s, "m")["error"]["type"] for s in (400, 404, 429, 503)}
    assert kinds == {
        400: "invalid_request_error",
        404: "invalid_request_error",
        429: "rate_limit_error",
        503: "server_error",
    }


def test_one_completion_has_one_id() -> None:
    completion = Completion("m")
    forms = [completion.whole("a", "stop", 1, 2), completion.piece("a"), completion.counted(1, 2)]
    assert len({form["id"] for form in forms}) == 1
    assert Completion("m").piece()["id"] != forms[0]["id"]
