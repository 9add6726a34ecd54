"""What a child of the server does: run workers of a site, classify pictures, infer tensors.

It is told once what there is to serve (`begin`), and then answers one call at a time. Every call
has a fresh instance; compiled workers and loaded models stay.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

from wasmlrun.host import EngineChoice, Host
from wasmlrun.manifest.grant import Grant, from_manifest
from wasmlrun.manifest.manifest import Manifest
from wasmlrun.manifest.reader import read_manifest
from wasmlrun.pipeline.loading import Loading
from wasmlrun.pipeline.per_image import Classifier
from wasmlrun.pipeline.plan import (
    ClassifyOptions,
    Wishes,
    hosted,
    interpreted,
    make_plan,
    preloaded,
)
from wasmlrun.pipeline.program import response_of
from wasmlrun.pipeline.protocols import wws
from wasmlrun.pipeline.trusted import with_gate
from wasmlrun.sandbox.clock import Clock
from wasmlrun.sandbox.worker import LinkedWorker
from wasmlrun.serve import oip
from wasmlrun.supervisor.answering import Handler
from wasmlrun.supervisor.channel import EMPTY, Message
from wasmlrun.supervisor.stages import Board
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.limits import MAX_PIXELS, Limits, exceeded, lowered, with_limits
from wasmlrun.support.messages import Messages
from wasmlrun.support.paths import is_file
from wasmlrun.support.process import bound_memory
from wasmlrun.support.records import Record, replace
from wasmlrun.vision.decode import configure_process
from wasmlrun.vision.values import ImageBytes

KEPT_WORKERS = 64
"""Workers of a site that stay compiled in one child."""


def begin(opening: Message, board: Board, say: Callable[[str], None]) -> Handler:
    """What a child of this kind does; see `wasmlrun.supervisor.answering`. Raises WasmlrunError."""
    # one thing at a time, so that a crash has one culprit
    board.careful = True
    settings = opening.head
    os.chdir(settings["folder"])
    configure_process(MAX_PIXELS)
    bound_memory(with_limits(Limits(), settings["limits"]).process_memory)
    work = Work(settings, board, say)
    return work.answer


class Work:
    """Everything that this child serves."""

    def __init__(
        self, settings: Mapping[str, Any], board: Board, say: Callable[[str], None]
    ) -> None:
        self._settings = settings
        self._messages = Messages.through(say)
        self._host = Host.of_choice(
            cast("EngineChoice", settings), board, self._messages, threads=settings["threads"]
        )
        self._models: list[_Model] = [self._model(wishes) for wishes in settings["models"]]
        self._workers: dict[tuple[str, int], _SiteWorker] = {}

    def answer(self, message: Message) -> Message:
        """The answer to one call. Raises WasmlrunError."""
        head = message.head
        match head["op"]:
            case "request":
                request = bytes(message.parts[0])
                if "fields" in head:
                    request = wws.request(body=request, **head["fields"])
                return self._request(head["worker"], head["stamp"], request)
            case "prepare":
                self._worker(head["worker"], head["stamp"])
                return EMPTY
            case "classify":
                return self._models[int(head["model"])].classified(head, bytes(message.parts[0]))
            case "infer":
                return self._models[int(head["model"])].inferred(head, bytes(message.parts[0]))
            case "about":
                return Message({"models": [model.about() for model in self._models]})
            case other:
                raise UsageFault(f"there is no {other}")

    def _model(self, wishes: Mapping[str, Any]) -> _Model:
        given: dict[str, Any] = {k: v for k, v in wishes.items() if v}
        for name in ("manifest", "labels"):
            if name in given:
                given[name] = Path(given[name])
        given |= {
            name: self._settings[name] for name in ("trusted_keys", "trusted_worker", "limits")
        }
        plan = make_plan(Wishes(**given, cache=self._host.cache))
        for sentence in plan.raised:
            self._messages.warn(sentence)
        host = hosted(plan, self._host)
        loading = Loading(plan, host)
        classifier = Classifier(plan, ClassifyOptions(), host, loading, self._messages)
        return _Model(classifier, loading, plan.limits)

    def _request(self, worker: str, stamp: int, request: bytes) -> Message:
        return self._worker(worker, stamp).answer(request, self._messages)

    def _worker(self, worker: str, stamp: int) -> _SiteWorker:
        """A worker of the site, compiled unless it is already."""
        found = self._workers.pop((worker, stamp), None)
        if found is None:
            found = _site_worker(Path(worker), self._settings, self._host)
        self._workers[worker, stamp] = found  # the one used last is the last
        for old in [k for k in self._workers if k[0] == worker and k[1] != stamp]:
            del self._workers[old]
        while len(self._workers) > KEPT_WORKERS:
            del self._workers[next(iter(self._workers))]
        return found


class _Model:
    """A worker that classifies, with its model."""

    def __init__(self, classifier: Classifier, loading: Loading, limits: Limits) -> None:
        self._classifier = classifier
        self._loading = loading
        self._limits = limits
        self._loading.graph()  # what is wrong with it is told when the server starts

    def classified(self, head: Mapping[str, Any], picture: bytes) -> Message:
        image = ImageBytes(head["name"], picture)
        clock = Clock.after(self._limits.timeout)
        result = self._classifier.classify(image, clock, head["top"])
        return Message(
            {
                "worker": result.worker,
                "model": result.model,
                "predictions": [[p.index, p.label, p.score] for p in result.predictions],
                "timings_ms": dict(result.timings_ms),
                "sure": result.sure,
            }
        )

    def inferred(self, head: Mapping[str, Any], body: bytes) -> Message:
        clock = Clock.after(self._limits.timeout)
        try:
            asked = oip.parse(body, head["header"])
            outputs = self._classifier.infer(asked.inputs, clock)
            answer, size = oip.answer(head["name"], asked, outputs)
        except oip.Malformed as e:
            return Message({"malformed": str(e)})
        return Message({"size": size}, (answer,))

    def about(self) -> dict[str, Any]:
        graph = self._loading.graph()
        ports = (graph.inputs, graph.outputs) if graph is not None else ((), ())
        inputs, outputs = (
            [[port.name, port.dtype.value, list(port.shape)] for port in side] for side in ports
        )
        return {"inputs": inputs, "outputs": outputs}


class _SiteWorker(Record):
    """A worker of a site, compiled."""

    path: Path
    host: Host
    linked: LinkedWorker

    def answer(self, request: bytes, messages: Messages) -> Message:
        limits = self.host.limits
        host = replace(self.host, clock=Clock.after(limits.timeout))
        try:
            with messages.guest() as said:
                run = host.run(self.linked, str(self.path), stdin=request, stderr=said)
        except MemoryError as e:
            raise exceeded("process_memory", limits.process_memory, "the run takes more") from e
        response = response_of(run)
        head = {"status": response.status, "headers": dict(response.headers), "kv": response.kv}
        return Message(head, (response.body,))


def _site_worker(path: Path, settings: Mapping[str, Any], base: Host) -> _SiteWorker:
    manifest = manifest_of(path, Path(settings["site"]), allow_outside=settings["allow_outside"])
    grant = Grant(said_by=str(path.with_suffix(".toml")))
    if manifest is not None:
        grant = replace(
            from_manifest(manifest),
            http=replace(manifest.http, allowed_private=tuple(settings["allow_private"])),
            # Wasm Workers Server told engines so whatever the dims said
            nhwc_input=manifest.nn.input_layout != "nchw",
        )
    models = preloaded(manifest) if manifest is not None else {}
    grant = with_gate(
        grant,
        models.values(),
        settings["trusted_keys"],
        worker=settings["trusted_worker"],
        cache=base.cache,
    )
    program, grant = interpreted(path, grant)
    limits = with_limits(lowered(Limits(), manifest.limits if manifest else {}), settings["limits"])
    host = replace(base, models=models, limits=limits, grant=grant)
    return _SiteWorker(path, host, host.worker(program, many=True).linked(grant))


def manifest_of(worker: Path, site: Path, *, allow_outside: bool) -> Manifest | None:
    """The manifest beside a site's worker. As in Wasm Workers Server its mounts are writable,
    unless it says otherwise; they lie in the site.

    Raises:
        BadManifest: there is one, and it is wrong.
    """
    beside = worker.with_suffix(".toml")
    if not is_file(beside):
        return None
    return read_manifest(beside, allow_outside=allow_outside, within=site, root=site, writable=True)
