"""The client of a server's socket: `classify --via auto` asks it before it does the work itself.

Whatever is amiss (no server, another's, one that serves something else, one that is busy) is no
error: there is no answer then, and the command goes on as ever.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from wasmlrun.pipeline.expectation import judge
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.serve.identity import HEADER, MAX_PICTURE, MOST_TOP, identity, socket_path
from wasmlrun.support.errors import WasmlrunError
from wasmlrun.support.failure import error_from
from wasmlrun.vision.labels import Prediction
from wasmlrun.vision.source import STDIN, read_image

MOST_IMAGES = 16
"""More of them are quicker side by side, in the command's own process."""
_CONNECT_SECONDS, _ANSWER_SECONDS = 0.2, 60.0
_MOST_ANSWER = 4 << 20
_SERVED = frozenset(("top", "expect", "min_score", "manifest", "model", "labels", "limits"))
_ENGINE = ("backend", "device", "strict_device", "precision")
Outcome = ImageResult | WasmlrunError


def outcomes(
    images: Sequence[str], worker: str | None, wanted: Mapping[str, Any]
) -> list[tuple[str, Outcome]] | None:
    """Each image's outcome; None when the command has to do the work itself.

    `wanted` are the options of `classify`, by name.
    """
    # standard input can be read once only
    if (
        STDIN in images
        or len(images) > MOST_IMAGES
        or wanted["top"] > MOST_TOP
        or not _is_usual(wanted)
    ):
        return None
    path = socket_path()
    if path is None or not path.exists():
        return None
    engine = {k: wanted[k] for k in _ENGINE} | {"cache": True}
    wishes = {"worker": worker, **{k: _text(wanted[k]) for k in ("manifest", "model", "labels")}}
    wished = identity(wishes, engine)
    found: list[tuple[str, Outcome]] = []
    for name in images:
        try:
            picture = read_image(name)
        except WasmlrunError as error:
            found.append((name, error))
            continue
        if len(picture) > MAX_PICTURE:
            return None
        head = {"identity": wished, "name": name, "top": wanted["top"]}
        try:
            answer = _asked(str(path), head, picture)
            outcome = _outcome(answer, name, worker, wanted)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        if outcome is None:
            return None
        found.append((name, outcome))
    return found


def _is_usual(wanted: Mapping[str, Any]) -> bool:
    """Whether the command asks for nothing that a server was not asked for."""
    limits = wanted["limits"].values()
    return not any(limit is not None for limit in limits) and not any(
        value not in (None, False, ())
        for name, value in wanted.items()
        if name not in _SERVED and name not in _ENGINE
    )


def _asked(path: str, head: Mapping[str, Any], picture: bytes) -> Any:
    text = json.dumps(head).encode()
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(_CONNECT_SECONDS)
        end.connect(path)
        if _owner(end) != os.getuid():  # not the user's own server
            return None
        end.settimeout(_ANSWER_SECONDS)
        end.sendall(HEADER.pack(len(text), len(picture)) + text)
        end.sendall(picture)
        parts, size = [], 0
        while part := end.recv(1 << 16):
            parts.append(part)
            size += len(part)
            if size > _MOST_ANSWER:
                return None
    return json.loads(b"".join(parts))


def _owner(end: socket.socket) -> int:
    if not hasattr(socket, "SO_PEERCRED"):
        return os.getuid()
    user: int = struct.unpack("3i", end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    return user


def _outcome(
    answer: Any, name: str, worker: str | None, wanted: Mapping[str, Any]
) -> Outcome | None:
    if not isinstance(answer, dict) or "no" in answer:
        return None
    if "error" in answer:
        return error_from(answer["error"])
    result = answer["result"]
    predictions = [Prediction(i, label, float(score)) for i, label, score in result["predictions"]]
    return ImageResult(
        name,
        worker or result["worker"],
        _text(wanted["model"]) or result["model"],
        predictions,
        {str(k): float(v) for k, v in result["timings_ms"].items()},
        judge(predictions, wanted["expect"], wanted["min_score"]),
        result["sure"],
    )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
