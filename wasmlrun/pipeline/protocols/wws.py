"""Protocol `wws`: Wasm Workers Server's JSON request on stdin and response on stdout."""

from __future__ import annotations

import base64
import binascii
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from wasmlrun.sandbox.outcome import GuestRun, explain
from wasmlrun.support import beneath
from wasmlrun.support.errors import BadFile, UsageFault, WorkerFailed
from wasmlrun.support.limits import MAX_BODY_BYTES
from wasmlrun.support.records import Record
from wasmlrun.vision.labels import Prediction

_LABEL_KEYS = ("label", "class", "name", "category", "className", "class_name", "title")
_SCORE_KEYS = ("score", "probability", "confidence", "prob", "value", "p")


HOST = "localhost"
"""The host of a request that no server received."""


class Response(Record):
    """A worker's HTTP-like response."""

    status: int
    headers: Mapping[str, str | Sequence[str]]
    """A name with several values stands for several headers."""
    body: bytes
    kv: Mapping[str, Any] | None = None
    """What the worker's key/value store is from now on; None is as it was."""


def request(
    method: str,
    url: str,
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    *,
    kv: Mapping[str, Any] | None = None,
    params: Mapping[str, str] | None = None,
) -> bytes:
    """The JSON object that a worker finds on its standard input.

    A body that is no UTF-8 is an empty one, as in Wasm Workers Server.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = ""
    fields = {
        "url": url,
        "method": method,
        "headers": dict(headers or {}),
        "body": text,
        "kv": dict(kv or {}),
        "params": dict(params or {}),
    }
    return json.dumps(fields).encode("utf-8", "replace")


def local_request(method: str, target: str, body: bytes = b"") -> bytes:
    """A request that no server received: its URL is whole all the same, as workers expect."""
    url = f"http://{HOST}{target}" if target.startswith("/") else target
    host = url.partition("://")[2].partition("/")[0] or HOST
    return request(method, url, body, {"host": host})


def read_body(file: str | None) -> bytes:
    """A request's body from a file, or from standard input for `-`.

    Raises:
        BadFile: the file cannot be read.
    """
    if file is None:
        return b""
    if file == "-":
        body = sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
        if len(body) > MAX_BODY_BYTES:
            raise UsageFault(f"--body -: it has more than {MAX_BODY_BYTES} bytes")
        return body
    try:
        return beneath.read(Path(file), MAX_BODY_BYTES, pipe=True)
    except OSError as e:
        raise BadFile(f"--body {file}: {e.strerror}") from e


def image_request(image: bytes) -> bytes:
    """A POST request whose body is the image file in base64."""
    return local_request("POST", "/", base64.b64encode(image))


def parse_response(run: GuestRun) -> Response:
    """The response on a finished worker's standard output.

    Raises:
        WorkerFailed: it is not the JSON object that Wasm Workers Server expects.
    """
    text = run.stdout.decode(errors="replace").strip()
    if not text:
        raise explain(run, "the worker wrote nothing to its standard output")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise explain(run, f"the worker's answer is not JSON: {_shown(text)}") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), str):
        raise explain(
            run, f'the worker\'s answer has no "data" with the body as a string: {_shown(text)}'
        )
    body = answer["data"].encode("utf-8", "surrogatepass")
    if answer.get("base64") is True:
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error as e:
            raise explain(run, f'the worker\'s "data" is not base64: {e}') from None
    status, headers, kv = answer.get("status", 200), answer.get("headers"), answer.get("kv")
    return Response(
        status if isinstance(status, int) and 100 <= status <= 999 else 200,
        {str(k): _values(v) for k, v in headers.items()} if isinstance(headers, dict) else {},
        body,
        kv if isinstance(kv, dict) else None,
    )


def complaint(response: Response) -> str | None:
    """What the worker complains of: its status, or an error in a body of JSON; None if nothing."""
    text = response.body.decode(errors="replace")
    if response.status >= 400:
        return f"the worker answered with status {response.status}: {_shown(text)}"
    if not text.lstrip().startswith("{"):
        return None
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return None
    error = body.get("error") if isinstance(body, dict) else None
    return f"the worker answered with an error: {_shown(str(error))}" if error else None


def predictions(run: GuestRun, top: int) -> list[Prediction]:
    """Labels and scores from the response's body, scores as the worker gave them.

    Raises:
        WorkerFailed: an error status, or a body in which no labels are found.
    """
    response = parse_response(run)
    wrong = complaint(response)
    if wrong is not None:
        raise explain(run, wrong)
    text = response.body.decode(errors="replace")
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise explain(run, f"the body of the worker's answer is not JSON: {_shown(text)}") from None
    found = _pairs(body)
    if not found:
        raise WorkerFailed(
            f"no labels in the worker's answer: {_shown(text)}",
            'understood are {"data": [[label, score], …]}, lists of such pairs or of objects '
            "with label and score, and an object of label: score",
        )
    found.sort(key=lambda pair: -pair[1])
    return [Prediction(None, label, score) for label, score in found[:top]]


def _pairs(body: Any) -> list[tuple[str, float]]:
    if isinstance(body, dict):
        for key in ("data", "predictions", "results", "labels", "classes"):
            if isinstance(body.get(key), (list, dict)):
                return _pairs(body[key])
        pairs = [(str(label), score) for label, score in body.items()]
        return [(label, float(s)) for label, s in pairs if _is_number(s)] if pairs else []
    if not isinstance(body, list):
        return []
    found = []
    for entry in body:
        pair = _pair(entry)
        if pair is None:
            return []
        found.append(pair)
    return found


def _pair(entry: Any) -> tuple[str, float] | None:
    if isinstance(entry, dict):
        label = next((entry[k] for k in _LABEL_KEYS if isinstance(entry.get(k), str)), None)
        score = next((entry[k] for k in _SCORE_KEYS if _is_number(entry.get(k))), None)
    elif isinstance(entry, list) and len(entry) == 2:
        label, score = entry if isinstance(entry[0], str) else reversed(entry)
    else:
        return None
    if not isinstance(label, str) or not _is_number(score):
        return None
    assert score is not None
    return label, float(score)


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _values(value: Any) -> str | list[str]:
    return [str(v) for v in value] if isinstance(value, list) else str(value)


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else line[:117] + "…"
