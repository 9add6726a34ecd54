"""Calls done in this process: a crash of the engine's is this process's end."""

from __future__ import annotations

import threading
from collections.abc import Callable

from wasmlrun.api.calls import WORKER
from wasmlrun.api.opened import OpenedProgram, OpenedWorker
from wasmlrun.api.result import Completed, Result
from wasmlrun.api.settings import ApiSettings
from wasmlrun.supervisor.stages import Board
from wasmlrun.vision.source import ImageSource


class InThreads:
    """A worker or a program of this process, opened with the first call."""

    def __init__(self, kind: str, settings: ApiSettings, say: Callable[[str], None]) -> None:
        self._open = OpenedWorker if kind == WORKER else OpenedProgram
        self._settings = settings
        self._say = say
        self._opening = threading.Lock()
        self._places = threading.BoundedSemaphore(settings["parallel"])
        self._opened: OpenedWorker | OpenedProgram | None = None
        self._closed = False

    def prepare(self) -> None:
        """Compile and load what it takes. Raises WasmlrunError."""
        self._ready()

    def classify(self, image: ImageSource, *, keep: bool) -> Result:
        """A worker's answer; with `keep` it holds its picture. Raises WasmlrunError."""
        with self._places:
            worker = self._ready()
            assert isinstance(worker, OpenedWorker)
            answer = worker.classify(image)
        return Result(
            image=answer.image,
            worker=answer.worker,
            model=answer.model,
            predictions=tuple(answer.predictions),
            timings_ms=dict(answer.timings_ms),
            met=answer.expectation.met if answer.expectation is not None else None,
            sure=answer.sure,
            _source=image if keep else None,
        )

    def run(self, arguments: list[str], stdin: bytes) -> Completed:
        """A program's run. Raises WasmlrunError."""
        with self._places:
            program = self._ready()
            assert isinstance(program, OpenedProgram)
            run, stderr = program.run(arguments, stdin)
        return Completed(run.exit_code, run.stdout, stderr)

    def close(self) -> None:
        """Free the model, when the calls that run have ended."""
        with self._opening:
            self._closed = True
            opened, self._opened = self._opened, None
        if opened is None:
            return
        places = range(self._settings["parallel"])
        for _ in places:
            self._places.acquire()
        opened.close()
        for _ in places:  # who waits for one hears that it is closed
            self._places.release()

    def _ready(self) -> OpenedWorker | OpenedProgram:
        with self._opening:
            if self._closed:
                raise ValueError("the worker is closed")
            if self._opened is None:
                self._opened = self._open(self._settings, Board(), self._say)
            return self._opened
