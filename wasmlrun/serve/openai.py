"""The forms of OpenAI's API for chats: a request read, and answers, pieces and errors written.

What is asked for and cannot be done is refused by name; what only advises a service (`user`,
`metadata`, `store`) is left alone.
"""

from __future__ import annotations

import json
import math
import os
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.support.records import Record

MOST_STOPS = 4
MOST_MESSAGES = 4096
_ROLES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
}
_REFUSED = (
    "tools",
    "functions",
    "logprobs",
    "top_logprobs",
    "logit_bias",
    "audio",
    "prediction",
    "web_search_options",
)
"""Fields without which a client would get something else than it asked for."""
# field -> option of the engine, least, most, default
_NUMBERS = {
    "temperature": ("temp", 0.0, 2.0, 1.0),
    "top_p": ("top-p", 0.0, 1.0, 1.0),
    "presence_penalty": ("presence-penalty", -2.0, 2.0, 0.0),
    "frequency_penalty": ("frequency-penalty", -2.0, 2.0, 0.0),
}


class Rejected(Exception):
    """A request that is refused, as clients of OpenAI expect to be told."""

    def __init__(
        self, status: int, message: str, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code


class ChatRequest(Record):
    """What a client asks for."""

    model: str
    messages: Sequence[tuple[str, str]]
    """Each (role, text)."""
    options: Mapping[str, Any]
    """For the engine."""
    stops: Sequence[str] = ()
    most: int | None = None
    """Tokens of the answer."""
    stream: bool = False
    usage: bool = False
    """Whether a stream ends with how many tokens there were."""


def parse(body: bytes) -> ChatRequest:
    """A request's body. Raises Rejected."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise Rejected(400, "the body is not JSON") from None
    if not isinstance(given, dict):
        raise Rejected(400, "the body is no JSON object")
    for name in _REFUSED:
        if given.get(name):
            raise Rejected(400, f"{name} is not supported here", name, "unsupported_parameter")
    if given.get("n") not in (None, 1):
        raise Rejected(400, "n: one answer is given", "n", "unsupported_value")
    if given.get("modalities") not in (None, ["text"]):
        raise Rejected(400, "modalities: text alone", "modalities", "unsupported_value")
    stream = _flag(given, "stream")
    return ChatRequest(
        model=_text(given, "model"),
        messages=_messages(given.get("messages")),
        options=_options(given),
        stops=_stops(given.get("stop")),
        most=_most(given),
        stream=stream,
        usage=_usage(given.get("stream_options"), stream=stream),
    )


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, (option, least, most, usual) in _NUMBERS.items():
        value = given.get(name)
        value = usual if value is None else value
        if not _is_number(value) or not least <= value <= most:
            raise Rejected(400, f"{name}: a number from {least:g} to {most:g} is wanted", name)
        options[option] = float(value)
    # the engine's own ways of leaving tokens out are not part of this API
    options |= {"top-k": 0, "min-p": 0.0}
    seed = given.get("seed")
    if seed is None:
        (seed,) = struct.unpack("<I", os.urandom(4))
    elif isinstance(seed, bool) or not isinstance(seed, int):
        raise Rejected(400, "seed: a whole number is wanted", "seed")
    return options | {"seed": seed & 0x7FFFFFFF} | _form(given.get("response_format"))


def _form(form: Any) -> dict[str, str]:
    """What `response_format` asks for, as an option of the engine."""
    if form is None:
        return {}
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return {}
    if kind == "json_object":
        return {"json-schema": '{"type": "object"}'}
    if kind == "json_schema":
        named = form.get("json_schema")
        schema = named.get("schema") if isinstance(named, dict) else None
        if isinstance(schema, dict):
            return {"json-schema": json.dumps(schema)}
    raise Rejected(
        400, "response_format: text, json_object, or json_schema with a schema", "response_format"
    )


def _messages(given: Any) -> list[tuple[str, str]]:
    if not isinstance(given, list) or not given:
        raise Rejected(400, "messages: a list of messages is wanted", "messages")
    if len(given) > MOST_MESSAGES:
        raise Rejected(400, f"messages: more than {MOST_MESSAGES}", "messages")
    return [_message(message, f"messages[{number}]") for number, message in enumerate(given)]


def _message(given: Any, where: str) -> tuple[str, str]:
    role = given.get("role") if isinstance(given, dict) else None
    if not isinstance(role, str) or role not in _ROLES:
        known = ", ".join(_ROLES)
        raise Rejected(400, f"{where}: a role is wanted that is one of {known}", f"{where}.role")
    content = given.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content}]
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        text = part.get("text") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(text, str):
            raise Rejected(400, f"{where}: its content may be text alone", f"{where}.content")
        if "\0" in text or not _is_unicode(text):
            raise Rejected(400, f"{where}: its content is no text", f"{where}.content")
        texts.append(text)
    return _ROLES[role], "".join(texts)


def _stops(given: Any) -> list[str]:
    stops = [given] if isinstance(given, str) else [] if given is None else given
    if (
        not isinstance(stops, list)
        or len(stops) > MOST_STOPS
        or not all(isinstance(stop, str) and stop for stop in stops)
    ):
        raise Rejected(400, f"stop: a text, or up to {MOST_STOPS} of them", "stop")
    return stops


def _most(given: Mapping[str, Any]) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = given.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise Rejected(400, f"{name}: a whole number from 1 on is wanted", name)
        return value
    return None


def _usage(given: Any, *, stream: bool) -> bool:
    if given is None:
        return False
    if not stream or not isinstance(given, dict):
        raise Rejected(400, "stream_options: only with stream", "stream_options")
    return _flag(given, "include_usage")


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name)
    if value is not None and not isinstance(value, bool):
        raise Rejected(400, f"{name}: true or false is wanted", name)
    return bool(value)


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not value:
        raise Rejected(400, f"{name}: a text is wanted", name)
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


# --- answers ------------------------------------------------------------------------------------


class Completion:
    """One answer's forms, whole or in pieces."""

    def __init__(self, model: str) -> None:
        self._id = f"chatcmpl-{os.urandom(12).hex()}"
        self._model = model
        self._created = int(time.time())

    def whole(self, text: str, finish: str, prompt_tokens: int, tokens: int) -> dict[str, Any]:
        """The answer in one."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
        return self._form("chat.completion", [choice]) | {"usage": _tokens(prompt_tokens, tokens)}

    def piece(
        self, text: str | None = None, finish: str | None = None, *, first: bool = False
    ) -> dict[str, Any]:
        """A piece of a stream; the first says who speaks, the last why it ended."""
        delta: dict[str, Any] = {"role": "assistant"} if first else {}
        if text is not None:
            delta["content"] = text
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return self._form("chat.completion.chunk", [choice])

    def counted(self, prompt_tokens: int, tokens: int) -> dict[str, Any]:
        """The piece of a stream that says how many tokens there were."""
        return self._form("chat.completion.chunk", []) | {"usage": _tokens(prompt_tokens, tokens)}

    def _form(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._model,
            "choices": choices,
        }


def _tokens(prompt: int, completion: int) -> dict[str, int]:
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }


def event(value: Any) -> bytes:
    """A value as an event of a stream."""
    return b"data: " + json.dumps(value).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def model_form(name: str, created: int) -> dict[str, Any]:
    """A model in the list of models."""
    return {"id": name, "object": "model", "created": created, "owned_by": "wasmlrun"}


def error_form(
    status: int, message: str, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error, as clients of OpenAI read it."""
    kind = (
        "rate_limit_error"
        if status == 429
        else "server_error"
        if status >= 500
        else "invalid_request_error"
    )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
