"""A worker or program made ready in this process, whose owner may be another process."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from wasmlrun.api.settings import ApiSettings
from wasmlrun.host import EngineChoice, Host
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.per_image import Classifier
from wasmlrun.pipeline.plan import ClassifyOptions, Wishes, hosted, make_plan
from wasmlrun.pipeline.program import ProgramWishes, plan_program
from wasmlrun.pipeline.result import ImageResult
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.outcome import GuestRun
from wasmlrun.sandbox.worker import LinkedWorker
from wasmlrun.supervisor.answering import Say
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.limits import MAX_PIXELS, Limits, exceeded
from wasmlrun.support.messages import Messages
from wasmlrun.support.model_source import encoding_named
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import replace
from wasmlrun.support.tasks import Task, processors
from wasmlrun.vision.source import ImageSource


class OpenedWorker:
    """A worker and its model, compiled and loaded; several threads may use it."""

    def __init__(self, settings: ApiSettings, board: Board, say: Say) -> None:
        """Raises WasmlrunError: of the kind of the first thing that is wrong."""
        messages = Messages.through(say)
        host = _host(settings, board, messages)
        if settings["model"] is not None:
            Task(host.graphs.engines.ahead(encoding_named(settings["model"])))
        plan = make_plan(
            Wishes(
                worker=settings["worker"],
                manifest=_path(settings["manifest"]),
                model=settings["model"],
                labels=_path(settings["labels"]),
                writable=settings["writable"],
                input_layout=settings["input_layout"],
                arguments=settings["arguments"],
                allow_outside=settings["allow_outside"],
                trusted_keys=settings["trusted_keys"],
                trusted_worker=settings["trusted_worker"],
                cache=host.cache,
                limits=settings["limits"],
                dirs=settings["dirs"],
            )
        )
        options = ClassifyOptions(
            top=settings["top"],
            expect=settings["expect"],
            min_score=settings["min_score"],
            max_pixels=settings["max_pixels"] or MAX_PIXELS,
        )
        for sentence in plan.raised:
            messages.warn(sentence)
        self.limits = plan.limits
        self._plan = plan
        _bound(settings, plan.limits)
        self._host = hosted(plan, host)
        loading = Loading(plan, self._host)
        self._classifier = Classifier(plan, options, self._host, loading, messages)
        self._classifier.ready()

    def classify(self, image: ImageSource) -> ImageResult:
        """One image's answer; its time begins now. Raises WasmlrunError."""
        return self._classifier.classify(image, Clock.after(self.limits.timeout))

    def identity(self) -> dict[str, str | None]:
        """What its answers follow from: names, and sha256 of worker, model and labels."""
        plan = self._plan
        labels = plan.labels
        # where a manifest stands says nothing of what it says
        said = replace(plan.settings, labels=None, within=None)
        return {
            "worker": plan.shown_worker,
            "worker_sha256": _sha256(plan.worker.read_bytes()),
            "model": plan.shown_model,
            "model_sha256": plan.source.sha256 if plan.source is not None else None,
            "labels_sha256": _sha256("\n".join(labels).encode()) if labels is not None else None,
            "preprocessing": repr(said),
        }

    def close(self) -> None:
        """Free the model. No call may run, and none may follow."""
        self._host.graphs.close()


class OpenedProgram:
    """A program, compiled; several threads may use it."""

    def __init__(self, settings: ApiSettings, board: Board, say: Say) -> None:
        """Raises WasmlrunError: of the kind of the first thing that is wrong."""
        self._messages = Messages.through(say)
        host = _host(settings, board, self._messages)
        plan = plan_program(
            ProgramWishes(
                worker=settings["worker"],
                manifest=_path(settings["manifest"]),
                dirs=settings["dirs"],
                variables=[f"{name}={value}" for name, value in settings["env"].items()],
                models=[f"{name}={file}" for name, file in settings["models"].items()],
                no_nn=settings["no_nn"],
                writable=settings["writable"],
                input_layout=settings["input_layout"],
                allow_outside=settings["allow_outside"],
                trusted_keys=settings["trusted_keys"],
                trusted_worker=settings["trusted_worker"],
                cache=host.cache,
                limits=settings["limits"],
            ),
            bounded=True,
        )
        for sentence in plan.raised:
            self._messages.warn(sentence)
        self.limits = plan.limits
        _bound(settings, plan.limits)
        self._host = hosted(plan, host)
        self._path = plan.worker
        self._worker = self._host.worker(plan.worker)
        self._idle: list[LinkedWorker] = [self._worker.linked(plan.grant)]

    def run(self, arguments: Sequence[str], stdin: bytes) -> tuple[GuestRun, bytes]:
        """A fresh instance's run to its end and what it wrote to stderr. Raises WasmlrunError."""
        host = replace(self._host, clock=Clock.after(self.limits.timeout))
        linked = self._idle.pop() if self._idle else self._worker.linked(host.grant)
        chatter: list[bytes] = []
        try:
            run = host.run(
                linked, str(self._path), arguments=arguments, stdin=stdin, stderr=chatter.append
            )
        except MemoryError as e:
            limit = self.limits.process_memory
            raise exceeded("process_memory", limit, "the run takes more") from e
        self._idle.append(linked)
        if run.exit_code != 0 and run.failure is not None:
            self._messages.warn(f"the program's last failed WASI-NN call: {run.failure.message}")
        return run, b"".join(chatter)

    def close(self) -> None:
        """Free what its runs have loaded. None may go on, and none may follow."""
        self._host.graphs.close()


def _host(settings: ApiSettings, board: Board, messages: Messages) -> Host:
    side_by_side = settings["parallel"]
    here = settings["isolation"] == "thread"
    return Host.of_choice(
        cast("EngineChoice", settings),
        board,
        messages,
        # as many computations at a time in this process, or in as many processes
        streams=side_by_side if here else 1,
        threads=settings.get("threads") or _share(side_by_side, here),
    )


def _share(side_by_side: int, here: bool) -> int | None:
    """The cores of a process that is one of several; None is all."""
    return None if here or side_by_side == 1 else max(1, processors() // side_by_side)


def _bound(settings: ApiSettings, limits: Limits) -> None:
    """Hold a process of its own to its limit; another's is its owner's."""
    if settings["isolation"] == "process":
        bound_memory(limits.process_memory)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _path(name: str | None) -> Path | None:
    return Path(name) if name is not None else None
