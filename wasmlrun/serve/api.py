"""The model API: pictures to labels, and the Open Inference Protocol v2."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request

import wasmlrun
from wasmlrun.serve import oip
from wasmlrun.serve.admission import check_origin
from wasmlrun.serve.answers import (
    Refused,
    Reply,
    as_json,
    check_method,
    failed,
    readiness,
    with_headers,
)
from wasmlrun.serve.guard import Receive, Scope, leaving, read_body
from wasmlrun.serve.pool import Pool
from wasmlrun.supervisor.channel import Message
from wasmlrun.support.errors import BadModel
from wasmlrun.support.records import Record

DEFAULT_TOP, MOST_TOP = 5, 1000
_V2 = re.compile(r"/v2/models/([^/]+)(?:/versions/([^/]+))?(/ready|/infer)?")


class Model(Record):
    """A model that is served."""

    name: str
    worker: str
    """Its file's name: a place on the server's disk is nobody's business."""
    about: Mapping[str, Any]
    """Its inputs and outputs, each (name, type, shape)."""


class Api:
    """The API of some models."""

    def __init__(self, models: Sequence[Model], pool: Pool, max_body: int, ending: Event) -> None:
        """`ending` is set when the server is about to end."""
        self.models = models
        self._pool = pool
        self._max_body = max_body
        self._ending = ending

    async def answer(self, scope: Scope, receive: Receive) -> tuple[str, Reply] | None:
        """The route's name and the answer; None when the path is none of these.

        Raises:
            Exception: those of `wasmlrun.serve.answers.failed`.
        """
        path, method = scope["path"], scope["method"]
        if path == "/classify":
            check_method(method, "POST")
            return path, await self._classify(scope, receive)
        if path == "/models":
            check_method(method, "GET", "HEAD")
            return path, as_json({"models": [self._told(model) for model in self.models]})
        if path.startswith("/v2"):
            return await self._v2(path, method, scope, receive)
        return None

    async def _classify(self, scope: Scope, receive: Receive) -> Reply:
        check_origin(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"))
        top = query.get("top", [str(DEFAULT_TOP)])[-1]
        if not top.isascii() or not top.isdecimal() or not 1 <= int(top) <= MOST_TOP:
            raise Refused(400, f"top={top}: a number from 1 to {MOST_TOP} is wanted")
        number = self._number(query["model"][-1]) if "model" in query else 0
        body = await read_body(scope, receive, self._max_body)
        name, picture = await _picture(scope, body)
        call = {"op": "classify", "model": number, "name": name, "top": int(top)}
        answer = await self._pool.call(Message(call, (picture,)), leaving(receive))
        head = answer.head
        predictions = [
            {"index": index, "label": label, "score": score}
            for index, label, score in head["predictions"]
        ]
        return as_json(
            {
                "schema": 1,
                "image": name,
                "worker": self.models[number].worker,
                "model": self.models[number].name,
                "predictions": predictions,
                "timings_ms": {k: round(v, 3) for k, v in head["timings_ms"].items()},
            }
        )

    def _told(self, model: Model) -> dict[str, Any]:
        return {"name": model.name, "worker": model.worker}

    def _number(self, name: str) -> int:
        for number, model in enumerate(self.models):
            if model.name == name:
                return number
        known = ", ".join(model.name for model in self.models) or "none"
        raise Refused(404, f"there is no model {name}; there are: {known}")

    # --- Open Inference Protocol ----------------------------------------------------------------

    async def _v2(
        self, path: str, method: str, scope: Scope, receive: Receive
    ) -> tuple[str, Reply] | None:
        try:
            return await self._v2_route(path.rstrip("/"), method, scope, receive)
        except (oip.Malformed, BadModel) as e:
            return "/v2", as_json({"error": str(e)}, 400)
        except Exception as e:  # noqa: BLE001 - raised again unless foreseen
            status, told = failed(e)
            return "/v2", with_headers(as_json({"error": told["message"]}, status), e)

    async def _v2_route(
        self, path: str, method: str, scope: Scope, receive: Receive
    ) -> tuple[str, Reply] | None:
        if path == "/v2":
            extensions = ["binary_tensor_data"]
            about = {"name": "wasmlrun", "version": wasmlrun.__version__, "extensions": extensions}
            return path, as_json(about)
        if path == "/v2/health/live":
            return path, as_json({"live": True})
        if path == "/v2/health/ready":
            return path, readiness(self._ending)
        found = _V2.fullmatch(path)
        if found is None:
            return None
        name, version, what = found.groups()
        number = self._number(name)
        if version not in (None, "1"):
            raise Refused(404, f"model {name} has no version {version}; it has: 1")
        if what is None:
            about = oip.metadata(name, self.models[number].about)
            return "/v2/models/{model}", as_json(about)
        if what == "/ready":
            return "/v2/models/{model}/ready", as_json({"name": name, "ready": True})
        check_method(method, "POST")
        return "/v2/models/{model}/infer", await self._infer(number, scope, receive)

    async def _infer(self, number: int, scope: Scope, receive: Receive) -> Reply:
        check_origin(scope)
        header = _header(scope, oip.HEADER)
        # the child reads the body and writes the answer: a million numbers take their time
        call = {"op": "infer", "model": number, "name": self.models[number].name, "header": header}
        body = await read_body(scope, receive, self._max_body)
        message = await self._pool.call(Message(call, (body,)), leaving(receive))
        if "malformed" in message.head:
            raise oip.Malformed(message.head["malformed"])
        body, size = bytes(message.parts[0]), message.head["size"]
        if size is None:
            return Reply(200, (("content-type", "application/json"),), body)
        headers = (("content-type", "application/octet-stream"), (oip.HEADER, str(size)))
        return Reply(200, headers, body)


async def _picture(scope: Scope, body: bytes) -> tuple[str, bytes]:
    """Name and bytes of the picture in a body: of a form's one file, else the body itself."""
    if not _header(scope, "content-type").lower().startswith("multipart/form-data"):
        if not body:
            raise Refused(400, "the body is empty; send a picture, or a form with one")
        return "image", body

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    request = Request(scope, receive)
    try:
        async with request.form(max_files=1, max_fields=8, max_part_size=1 << 16) as form:
            files = [item for item in form.values() if isinstance(item, UploadFile)]
            if not files:
                raise Refused(400, "the form has no file; send the picture as one")
            return files[0].filename or "image", await files[0].read()
    except (HTTPException, MultiPartException) as e:
        told = getattr(e, "detail", None) or getattr(e, "message", str(e))
        raise Refused(400, f"the form cannot be read: {told}") from e


def _header(scope: Scope, name: str) -> Any:
    wanted = name.encode()
    found = next((v.decode("latin-1") for k, v in scope["headers"] if k == wanted), None)
    return found if found is not None or name == oip.HEADER else ""
