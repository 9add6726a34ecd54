"""What a Python worker of Wasm Workers Server finds: Request, Response and Cache.

Such a script defines `worker(request)`. The request comes on standard input, the response goes
to standard output; what the script prints goes to standard error.
"""

from __future__ import annotations

import base64
import json
import sys
from types import CodeType, ModuleType
from typing import Any


class Cache:
    """The worker's key/value store; values are texts."""

    _kept: dict[str, Any] = {}  # noqa: RUF012 - there is one request, and one store

    @classmethod
    def get(cls, key: str) -> Any:
        """What is kept under a key, None when nothing is."""
        return cls._kept.get(key)

    @classmethod
    def set(cls, key: str, value: object) -> None:
        """Keep a value under a key, as text."""
        cls._kept[key] = str(value)

    @classmethod
    def delete(cls, key: str) -> None:
        """Forget what is kept under a key."""
        cls._kept.pop(key, None)


class Request:
    """A request: `method`, `url`, `body`, and the mappings `headers` and `params`."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.method: str = fields["method"]
        self.url: str = fields["url"]
        self.body: str = fields.get("body", "")
        self.headers: dict[str, str] = fields.get("headers", {})
        self.params: dict[str, str] = fields.get("params", {})


class Response:
    """A response; its body is a text, or bytes."""

    def __init__(
        self,
        body: str | bytes = "",
        status_code: int = 200,
        headers: dict[str, str] | None = None,
    ) -> None:
        self.body = body
        self.status_code = status_code
        self.headers = headers or {}

    def to_json(self) -> str:
        """What Wasm Workers Server reads on the worker's standard output."""
        binary = isinstance(self.body, (bytes, bytearray, memoryview))
        return json.dumps(
            {
                "data": base64.b64encode(self.body).decode() if binary else str(self.body),
                "headers": {str(k): str(v) for k, v in self.headers.items()},
                "status": self.status_code,
                "kv": Cache._kept,
                "base64": binary,
            }
        )


def answers_requests(code: CodeType) -> bool:
    """Whether a script defines `worker` with one parameter."""
    return any(
        isinstance(part, CodeType) and part.co_name == "worker" and part.co_argcount == 1
        for part in code.co_consts
    )


def answer(code: CodeType, main: ModuleType) -> None:
    """Run a script that defines `worker`, and answer the request on standard input."""
    out, sys.stdout = sys.stdout, sys.stderr
    try:
        vars(main).update(Request=Request, Response=Response, Cache=Cache)
        exec(code, vars(main))
        response = main.worker(_request())
    finally:
        sys.stdout = out
    if not hasattr(response, "to_json"):
        kind = type(response).__name__
        raise TypeError(f"worker(request) must return a Response, and returned a {kind}")
    out.write(response.to_json())


def _request() -> Request:
    try:
        fields = json.loads(sys.stdin.buffer.read())
    except ValueError:
        fields = None
    if not isinstance(fields, dict) or "method" not in fields or "url" not in fields:
        sys.exit(
            "this script answers requests, and there is none on its standard input; "
            "try: wasmlrun run --request GET / SCRIPT"
        )
    Cache._kept = fields.get("kv", {})
    return Request(fields)
