"""Where calls are done: in supervised processes, or in this one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from wasmlrun.api import calls
from wasmlrun.api.pictures import picture_message
from wasmlrun.api.result import Completed, Result
from wasmlrun.api.settings import ApiSettings, memory_of, timeout_of
from wasmlrun.pipeline.fences import fence_for
from wasmlrun.supervisor.child import Child
from wasmlrun.supervisor.children import Children
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.limits import MIB, Limits
from wasmlrun.vision.source import ImageSource
from wasmlrun.walls.child import Fence

_log = logging.getLogger("wasmlrun")
_MOST_RESULT = 16 * MIB


class Serving(Protocol):
    """What does the calls of a worker or of a program; threads may share it."""

    def prepare(self) -> None:
        """Compile and load what it takes. Raises WasmlrunError."""

    def classify(self, image: ImageSource, *, keep: bool) -> Result:
        """A worker's answer; with `keep` it holds its picture. Raises WasmlrunError."""

    def run(self, arguments: list[str], stdin: bytes) -> Completed:
        """A program's run. Raises WasmlrunError."""

    def close(self) -> None:
        """End it. Calls raise ValueError from now on."""


def serving(kind: str, settings: ApiSettings) -> Serving:
    """What does the calls, as `isolation` says; nothing is started yet.

    Raises:
        UsageFault: it says process, and this system has none of the kind.
    """
    if settings["isolation"] == "thread":
        if settings["require_isolation"]:
            raise UsageFault(
                "require_isolation is for work in a process of its own",
                'leave out isolation="thread"',
            )
        from wasmlrun.api.threads import InThreads

        return InThreads(kind, settings, heard)
    if os.name != "posix":
        raise UsageFault(
            "isolation in processes needs a POSIX system",
            'say isolation="thread", which docs/python.md describes',
        )
    return _InProcesses(kind, settings)


def heard(text: str) -> None:
    """Log what a worker or a program has to say."""
    for line in text.splitlines():
        if line.startswith("warning: "):
            _log.warning("%s", line.removeprefix("warning: "))
        else:
            _log.info("%s", line)


def fence_of(kind: str, settings: ApiSettings) -> Fence:
    """The walls of a process that does these calls; pictures come to it as bytes."""
    program = kind == calls.PROGRAM
    manifest, labels = settings["manifest"], settings.get("labels")
    return fence_for(
        files=() if labels is None else (labels,),
        worker=settings["worker"],
        manifest=Path(manifest) if manifest is not None else None,
        models=settings["models"].values() if program else (settings["model"],),
        dirs=settings["dirs"],
        writable=settings["writable"],
        allow_outside=settings["allow_outside"],
        cached=settings["cache"],
        device=settings["device"],
        required=settings["require_isolation"],
        keys=settings["trusted_keys"],
    )


def child_for(kind: str, settings: ApiSettings, hear: Callable[[str], None]) -> Child:
    """A process that does these calls, behind its walls; it is started by the first.

    `hear` is told what it has to say.
    """
    most = _MOST_RESULT
    if kind == calls.PROGRAM:
        output = settings["limits"].get("output") or Limits().output
        assert output is not None
        most += int(output)
    return Child(
        calls.__name__,
        calls.opening(kind, settings),
        timeout=timeout_of(settings),
        most=most,
        calls=settings["calls_per_process"],
        hear=hear,
        memory=memory_of(settings),
        fence=fence_of(kind, settings),
    )


class _InProcesses:
    def __init__(self, kind: str, settings: ApiSettings) -> None:
        self._children = Children(lambda: child_for(kind, settings, heard), settings["parallel"])

    def prepare(self) -> None:
        self._children.prepare()

    def classify(self, image: ImageSource, *, keep: bool) -> Result:
        answer = self._children.call(picture_message(image))
        return calls.result_of(answer, image, keep=keep)

    def run(self, arguments: list[str], stdin: bytes) -> Completed:
        return calls.completed_of(self._children.call(calls.run_message(arguments, stdin)))

    def close(self) -> None:
        self._children.close()
