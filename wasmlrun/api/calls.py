"""Calls of a worker or program as messages between two processes, and what answers them.

What comes back was made by a process that handles hostile input: it is taken apart here, and
what is not as it should be is an error.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, TypeVar

from wasmlrun.api.opened import OpenedProgram, OpenedWorker
from wasmlrun.api.pictures import picture_of
from wasmlrun.api.result import Completed, Result
from wasmlrun.api.settings import ApiSettings
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.supervisor.answering import Handler, Say
from wasmlrun.supervisor.channel import Message
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import WorkerFailed
from wasmlrun.support.limits import MAX_PIXELS
from wasmlrun.vision.decode import configure_process
from wasmlrun.vision.labels import Prediction
from wasmlrun.vision.source import ImageSource

T = TypeVar("T")
WORKER, PROGRAM = "worker", "program"


def begin(opening: Message, board: Board, say: Say) -> Handler:
    """What a child of this kind does; see `wasmlrun.supervisor.answering`. Raises WasmlrunError."""
    # one thing at a time, so that a crash has one culprit
    board.careful = True
    kind, settings = opening.head["kind"], opening.head["settings"]
    configure_process(settings.get("max_pixels") or MAX_PIXELS)
    os.chdir(settings["folder"])
    opened = OpenedWorker if kind == WORKER else OpenedProgram
    made: OpenedWorker | OpenedProgram = opened(settings, board, say)
    if isinstance(made, OpenedWorker):
        worker = made
        return lambda message: _answered(worker, message)
    program = made
    return lambda message: _answer_of(program, message)


def opening(kind: str, settings: ApiSettings) -> Message:
    """What a child is told first."""
    return Message({"kind": kind, "settings": settings})


# --- workers ------------------------------------------------------------------------------------


_IDENTITY = "identity"


def identity_message() -> Message:
    """A call that asks a worker what its answers follow from."""
    return Message({_IDENTITY: True})


def identity_of(answer: Message) -> dict[str, str | None]:
    """What `OpenedWorker.identity` says. Raises WorkerFailed when the answer is none."""
    told = _of(answer.head, _IDENTITY, dict)
    return {str(name): None if value is None else str(value) for name, value in told.items()}


def _answered(worker: OpenedWorker, message: Message) -> Message:
    if _IDENTITY in message.head:
        return Message({_IDENTITY: worker.identity()})
    return _result_message(worker.classify(picture_of(message)))


def _result_message(result: ImageResult) -> Message:
    return Message(
        {
            "worker": result.worker,
            "model": result.model,
            "predictions": [[p.index, p.label, p.score] for p in result.predictions],
            "timings_ms": dict(result.timings_ms),
            "met": result.expectation.met if result.expectation is not None else None,
            "sure": result.sure,
        }
    )


def result_of(answer: Message, image: ImageSource, *, keep: bool) -> Result:
    """The result in an answer. Raises WorkerFailed when it is none."""
    head = answer.head
    predictions = []
    for item in _of(head, "predictions", list):
        match item:
            case [int() | None as index, str() as label, score] if _is_number(score):
                predictions.append(Prediction(index, label, float(score)))
            case _:
                raise _nonsense("predictions")
    timings = {str(k): float(v) for k, v in _of(head, "timings_ms", dict).items() if _is_number(v)}
    return Result(
        image=image.name,
        worker=_of(head, "worker", str),
        model=_of(head, "model", str, None),
        predictions=tuple(predictions),
        timings_ms=timings,
        met=_of(head, "met", bool, None),
        sure=_of(head, "sure", bool, None),
        _source=image if keep else None,
    )


def _is_number(value: Any) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) < math.inf  # false of NaN too


_REQUIRED: Any = object()


def _of(head: Mapping[str, Any], name: str, kind: type[T], default: Any = _REQUIRED) -> T:
    value = head.get(name)
    if value is None and default is not _REQUIRED:
        return default  # type: ignore[no-any-return]
    if not isinstance(value, kind):
        raise _nonsense(name)
    return value


def _nonsense(what: str) -> WorkerFailed:
    return WorkerFailed(f"the process that did the work answered with no {what}")


# --- programs -----------------------------------------------------------------------------------


def run_message(arguments: list[str], stdin: bytes) -> Message:
    """A program's run as a call."""
    return Message({"arguments": arguments}, (stdin,))


def _answer_of(program: OpenedProgram, message: Message) -> Message:
    run, stderr = program.run(message.head["arguments"], bytes(message.parts[0]))
    return Message({"exit_code": run.exit_code}, (run.stdout, stderr))


def completed_of(answer: Message) -> Completed:
    """What a program's run came to. Raises WorkerFailed when the answer is none."""
    if len(answer.parts) != 2:
        raise _nonsense("output")
    code = _of(answer.head, "exit_code", int)
    return Completed(code, bytes(answer.parts[0]), bytes(answer.parts[1]))
