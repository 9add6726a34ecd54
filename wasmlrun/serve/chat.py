"""Chats over HTTP, as OpenAI's clients expect them: `/v1/models`, `/v1/chat/completions`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from wasmlrun.serve import answers, openai
from wasmlrun.serve.admission import check_origin
from wasmlrun.serve.answers import Reply, as_json, check_method, failed, with_headers
from wasmlrun.serve.guard import ClientGone, Receive, Scope, Send, leaving, read_body
from wasmlrun.serve.openai import ChatRequest, Completion, Rejected
from wasmlrun.serve.pool import Gone, Lease, Pool
from wasmlrun.supervisor.channel import Message
from wasmlrun.support.errors import WasmlrunError

_MODELS, _COMPLETIONS = "/v1/models", "/v1/chat/completions"
_STEP = {True: 0.02, False: 0.2}
"""Seconds for which the child goes on before it tells what there is, in a stream and without."""
_LEAST_BODY, _BYTES_PER_TOKEN = 1 << 20, 64
"""A body beyond these can fit no context; to read one would keep all others waiting."""
_STREAM = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Chat:
    """The language models that are served."""

    def __init__(
        self, names: Sequence[str], pool: Pool, max_body: int, context: int, seconds: float
    ) -> None:
        """`context` is in tokens, `seconds` are those of a whole answer."""
        self.names = names
        self._pool = pool
        self._max_body = min(max_body, max(_LEAST_BODY, _BYTES_PER_TOKEN * context))
        self._seconds = seconds
        self._created = int(time.time())

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> str | None:
        """Answer a request; the route's name, or None when the path is none of these."""
        path = scope["path"]
        if path != _COMPLETIONS and path != _MODELS and not path.startswith(f"{_MODELS}/"):
            return None
        try:
            if path == _COMPLETIONS:
                check_method(scope["method"], "POST")
                await self._complete(scope, receive, send)
                return _COMPLETIONS
            check_method(scope["method"], "GET", "HEAD")
            await answers.send(as_json(self._listed(path)), send)
        except (Gone, ClientGone):
            raise
        except Exception as error:  # noqa: BLE001 - raised again unless foreseen
            await answers.send(_refusal(error), send)
        return _MODELS if path.startswith(_MODELS) else path

    def _listed(self, path: str) -> object:
        if path == _MODELS:
            models = [openai.model_form(name, self._created) for name in self.names]
            return {"object": "list", "data": models}
        name = path.removeprefix(f"{_MODELS}/")
        self._number(name)
        return openai.model_form(name, self._created)

    def _number(self, name: str) -> int:
        if name in self.names:
            return self.names.index(name)
        known = ", ".join(self.names)
        raise Rejected(404, f"there is no model {name}; there are: {known}", "model", _NO_MODEL)

    async def _complete(self, scope: Scope, receive: Receive, send: Send) -> None:
        check_origin(scope)
        request = openai.parse(await read_body(scope, receive, self._max_body))
        number = self._number(request.model)
        gone = asyncio.ensure_future(leaving(receive)())

        async def left() -> None:
            await asyncio.wait({gone})

        try:
            async with self._pool.leased(left) as lease:
                talk = _Talk(lease, gone, left)
                prompt_tokens = await talk.begin(number, request, self._seconds)
                write = _streamed if request.stream else _whole
                await write(request, talk, prompt_tokens, send)
        finally:
            gone.cancel()


_NO_MODEL = "model_not_found"


class _Talk:
    """One conversation in a child."""

    def __init__(
        self, lease: Lease, gone: asyncio.Future[None], left: Callable[[], Awaitable[None]]
    ) -> None:
        self._lease = lease
        self._gone = gone
        self._left = left
        self.tokens = 0

    async def begin(self, number: int, request: ChatRequest, seconds: float) -> int:
        """Have the prompt read; its tokens. Raises Rejected, and what `Pool.call` does."""
        call = {
            "op": "open",
            "model": number,
            "messages": [list(message) for message in request.messages],
            "options": dict(request.options),
            "stops": list(request.stops),
            "most": request.most,
            "seconds": seconds,
        }
        head = (await self._lease.call(Message(call), self._left)).head
        if "too_long" in head:
            raise Rejected(400, head["too_long"], "messages", "context_length_exceeded")
        return int(head["prompt_tokens"])

    async def more(self, seconds: float) -> tuple[str, str | None]:
        """What comes next, and why the text ended, if it did. Raises as `Pool.call` does."""
        if self._gone.done():
            with suppress(WasmlrunError):
                await self._lease.call(Message({"op": "close"}), self._left)
            raise Gone
        call = Message({"op": "more", "seconds": seconds})
        head = (await self._lease.call(call, self._left)).head
        self.tokens = int(head["tokens"])
        return str(head["text"]), head["finish"]


async def _whole(request: ChatRequest, talk: _Talk, prompt_tokens: int, send: Send) -> None:
    parts: list[str] = []
    finish: str | None = None
    while finish is None:
        text, finish = await talk.more(_STEP[False])
        parts.append(text)
    form = Completion(request.model).whole("".join(parts), finish, prompt_tokens, talk.tokens)
    await answers.send(as_json(form), send)


async def _streamed(request: ChatRequest, talk: _Talk, prompt_tokens: int, send: Send) -> None:
    async def write(data: bytes, *, more: bool = True) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": more})

    completion = Completion(request.model)
    await send({"type": "http.response.start", "status": 200, "headers": list(_STREAM)})
    await write(openai.event(completion.piece("", first=True)))
    finish: str | None = None
    try:
        while finish is None:
            text, finish = await talk.more(_STEP[True])
            if text:
                await write(openai.event(completion.piece(text)))
    except Gone:
        raise
    except Exception as error:  # noqa: BLE001 - raised again unless foreseen
        # the status is sent already
        await write(openai.event(_told(error)[1]), more=False)
        return
    end = openai.event(completion.piece(finish=finish))
    if request.usage:
        end += openai.event(completion.counted(prompt_tokens, talk.tokens))
    await write(end + openai.DONE, more=False)


def _told(error: Exception) -> tuple[int, dict[str, object]]:
    """Status and form of an error. What nobody foresaw is raised."""
    if isinstance(error, Rejected):
        return error.status, openai.error_form(error.status, error.message, error.param, error.code)
    status, told = failed(error)
    return status, openai.error_form(status, told["message"], None, told["code"])


def _refusal(error: Exception) -> Reply:
    status, form = _told(error)
    return with_headers(as_json(form, status), error)
