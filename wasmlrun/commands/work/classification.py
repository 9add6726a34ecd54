"""One `classify`, from the words of the command line to the exit code, in both its processes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.commands.line.options import GuestOptions, limits_of, models_elsewhere
from wasmlrun.report.on_demand import ReportOnDemand
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from PIL.Image import Image

    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.pipeline.plan import ClassifyOptions, Plan
    from wasmlrun.pipeline.result import ImageResult
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.report.stdout import Gathered
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace
    from wasmlrun.vision.source import ImageSource
    from wasmlrun.walls.child import Fence

TOP = 5
"""Predictions that are printed when nobody says how many."""
SHOWN = 400
"""Pixels of the longer side of a picture that a terminal shows."""
ARTEFACT = "artefact"
"""The form that is the answer's own file."""


class Wanted(GuestOptions):
    """What the command line says of the work itself."""

    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    top: int | None = None
    expect: str | None = None
    min_score: float | None = None
    dirs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    input_layout: str | None = None
    max_pixels: int | None = None
    explain: Path | None = None


class Telling(Record):
    """How the answers are told."""

    as_json: bool
    files: Mapping[str, Path | None]
    """Of each form that is written to a file, its path."""
    show: bool = False
    """Whether a terminal is shown the pictures too."""


class Classification:
    """The images of one command line, the worker, and what is wanted of it."""

    def __init__(
        self,
        images: Sequence[str],
        worker: str | None,
        wanted: Wanted,
        telling: Telling,
        messages: Messages,
    ) -> None:
        self._images = images
        self._worker = worker
        self._wanted = wanted
        self._telling = telling
        self._messages = messages
        in_files = any(path is not None for path in telling.files.values())
        self._report = ReportOnDemand(self._open_report, at_once=in_files)
        self._out: Gathered | None = None
        """What the report writes to; it is there when the report is open."""
        self._recorder: Trace | None = None
        self._fetched: dict[str, ImageSource] = {}
        """Pictures that are no files, by name."""

    def run(self, trace: Path | None, *, install: bool, ask_server: bool) -> int:
        """Classify them and tell what came of it; the exit code.

        `install` prepares a script's interpreter without asking; with `ask_server` a server of
        the user's own may have the answers.
        """
        return self._report.run(partial(self._run, trace, install, ask_server))

    def _run(self, trace: Path | None, install: bool, ask_server: bool) -> int:
        _check_score(self._wanted.min_score)
        show = self._telling.show
        if ask_server and not show and trace is None and self._messages.verbosity <= 0:
            code = self._by_server()
            if code is not None:
                return code
        # not before: with a server's answer none of these is needed
        from wasmlrun.supervisor.blame import supervised

        self._prepare(trace, install)
        return supervised(
            self._work,
            self._tell_of_death,
            self._messages,
            self._recorder,
            _try_again,
            limits=limits_of(self._wanted),
            fence=self._fence(),
        )

    # --- before the child ---------------------------------------------------------------------

    def _prepare(self, trace: Path | None, install: bool) -> None:
        """What may ask the user or the network, whose time is not limited.

        Raises WasmlrunError.
        """
        if self._worker is not None and not self._worker.endswith(".wasm"):
            from wasmlrun.commands.line.options import interpreter

            interpreter(Path(self._worker), self._messages, install=install)
        if trace is not None or self._messages.verbosity > 0:
            from wasmlrun.commands.line.options import trace_from

            self._recorder = trace_from(trace, self._messages)
        if any("://" in name for name in self._images):
            from wasmlrun.models.progress import watching
            from wasmlrun.pipeline.fetched import fetch_images

            with watching(self._messages) as watcher:
                self._fetched.update(fetch_images(self._images, watcher))
        if self._telling.show:
            from wasmlrun.report.drawn import ask_terminal
            from wasmlrun.vision.source import STDIN, ImageFile, KeptImage

            if STDIN in self._images:
                self._fetched[STDIN] = KeptImage(ImageFile(STDIN))
            ask_terminal()

    def _fence(self) -> Fence:
        from wasmlrun.pipeline.fences import fence_for

        wanted = self._wanted
        elsewhere = models_elsewhere(wanted)
        return fence_for(
            files=(*(name for name in self._images if name not in self._fetched), wanted.labels),
            worker=self._worker,
            manifest=wanted.manifest,
            models=[wanted.model, *(named.words for named in elsewhere)],
            dirs=wanted.dirs,
            writable=wanted.writable,
            allow_outside=wanted.allow_outside,
            cached=not wanted.no_cache,
            device=wanted.device,
            required=wanted.require_isolation,
            keys=wanted.trusted_keys,
        )

    def _by_server(self) -> int | None:
        """The exit code when a server that runs already had the answers, else None."""
        from wasmlrun.serve.ask import outcomes
        from wasmlrun.support.records import defaults

        wanted = self._wanted
        said = {name: getattr(wanted, name) for name in defaults(Wanted)}
        found = outcomes(self._images, self._worker, {**said, "top": wanted.top or TOP})
        if found is None:
            return None
        from wasmlrun.pipeline.honesty import about_model
        from wasmlrun.pipeline.result import ImageResult
        from wasmlrun.pipeline.telling import combined, tell_outcome

        code, models = 0, set()
        for name, outcome in found:
            code = combined(code, tell_outcome(name, outcome, self._report(), self._messages))
            if isinstance(outcome, ImageResult):
                models.add(outcome.model)
        for note in filter(None, map(about_model, models)):
            self._messages.info(note)
        return code

    # --- in the child -------------------------------------------------------------------------

    def _work(self, board: Board) -> int:
        return self._report.attempt(lambda: self._classify(board))

    def _classify(self, board: Board) -> int:
        """Raises WasmlrunError when nothing could be classified."""
        from wasmlrun.commands.line.options import cache_from

        cache = cache_from(self._wanted.no_cache, self._messages.detail)
        engines = self._engines(cache, board)
        from wasmlrun.vision.source import ImageFile, missing, none_is_there

        # the cheapest and commonest mistake, told before all others
        if self._images and not self._fetched and none_is_there(self._images):
            return max(self._report.fail(missing(name), name) for name in self._images)
        from wasmlrun.support.tasks import quick_handover

        images = [self._fetched.get(name) or ImageFile(name) for name in self._images]
        with quick_handover():
            from wasmlrun.host import Host

            # not by the front door: the guest's half is imported while the engine works
            from wasmlrun.wasi_nn.graphs import GraphPool

            plan = self._plan(cache)
        from wasmlrun.pipeline.per_command import classify

        host = Host(GraphPool(engines, board), cache, self._recorder)
        deliver = partial(self._deliver, board)
        report = self._report()
        return classify(images, plan, self._options(), host, report, self._messages, deliver)

    def _engines(self, cache: Cache, board: Board) -> EnginePool:
        """The engines; the one that will be needed is loaded while the rest is imported."""
        from wasmlrun.commands.line.options import engines_from
        from wasmlrun.support.model_source import encoding_named
        from wasmlrun.support.process import keep_one_heap
        from wasmlrun.support.tasks import Task, parallel

        wanted = self._wanted
        if len(self._images) == 1:
            keep_one_heap()
        streams = parallel(len(self._images), careful=board.careful)
        engines = engines_from(wanted, cache, self._messages, streams)
        if not board.careful and not _brings_its_model(self._worker):
            encoding = encoding_named(wanted.model) if wanted.model is not None else None
            Task(engines.ahead(encoding))
        return engines

    def _plan(self, cache: Cache) -> Plan:
        """Raises WasmlrunError when it cannot be made."""
        from wasmlrun.pipeline.plan import Wishes, make_plan

        wanted = self._wanted
        return make_plan(
            Wishes(
                worker=self._worker,
                manifest=wanted.manifest,
                model=wanted.model,
                labels=wanted.labels,
                writable=wanted.writable,
                input_layout=wanted.input_layout,
                arguments=wanted.arguments,
                allow_outside=wanted.allow_outside,
                limits=wanted.limits,
                dirs=wanted.dirs,
                elsewhere=models_elsewhere(wanted),
                trusted_keys=wanted.trusted_keys,
                trusted_worker=wanted.trusted_worker,
                cache=cache,
            )
        )

    def _options(self) -> ClassifyOptions:
        from wasmlrun.pipeline.plan import ClassifyOptions
        from wasmlrun.support.limits import MAX_PIXELS

        wanted = self._wanted
        return ClassifyOptions(
            top=wanted.top or TOP,
            expect=wanted.expect,
            min_score=wanted.min_score,
            max_pixels=wanted.max_pixels or MAX_PIXELS,
            explain=wanted.explain is not None,
        )

    def _deliver(self, board: Board, tell: Callable[[], int]) -> None:
        """What `tell` writes goes to the parent, which writes it once whatever happens here."""
        from wasmlrun.report.stdout import writing
        from wasmlrun.supervisor.outbox import Letter

        out = self._out
        assert out is not None, "the report is open"
        out.through = False
        try:
            with self._messages.aside() as said:
                code = tell()
            heard = said.getvalue().encode(errors="backslashreplace")
            with writing():
                board.deliver(Letter(code, out.taken(), heard))
        finally:
            out.through = True

    # --- in whichever process has something to tell -------------------------------------------

    def _open_report(self) -> Reporter[ImageResult]:
        from wasmlrun.report.answer import Asked
        from wasmlrun.report.reporter import open_report
        from wasmlrun.report.stdout import Gathered
        from wasmlrun.report.views.images import answer

        self._out = Gathered(sys.stdout)
        return open_report(
            # who says how many wants to see so many
            partial(answer, every=self._wanted.top is not None, picture=self._picture),
            Asked("classify", "image", self._images, "--explain"),
            self._messages,
            as_json=self._telling.as_json,
            files=self._telling.files,
            stream=self._out,
        )

    def _picture(self, name: str) -> Image | None:
        """A picture to show, small; None where it is not to be seen."""
        if not self._telling.show or self._telling.as_json or not sys.stdout.isatty():
            return None
        from wasmlrun.support.errors import BadImage
        from wasmlrun.vision.source import ImageFile

        source = self._fetched.get(name) or ImageFile(name)
        try:
            image = source.decoded(at_least=SHOWN)
        except BadImage:  # gone since it was classified
            return None
        image.thumbnail((SHOWN, SHOWN))
        return image

    def _tell_of_death(self, error: WasmlrunError, death: Death, board: Board) -> int | None:
        from wasmlrun.supervisor.stages import Stage

        images = self._images
        code = self._report.fail(error, images[board.done] if board.done < len(images) else None)
        board.report(board.done + 1, board.code or code)
        # another image may fare better; another try of the same model would not
        hopeless = death.timed_out or any(d.stage is Stage.MODEL for d in death.doing)
        return board.code if hopeless or board.done >= len(images) else None


def _try_again(death: Death, board: Board) -> bool:
    """Whether a child that died tells more when the same is done once more."""
    if death.timed_out or board.careful:
        return False
    # much went on side by side: once more, one thing at a time, to see what it was
    board.careful = True
    return True


def _check_score(least: float | None) -> None:
    """Scores are shares. Raises UsageFault for what no score can reach."""
    if least is not None and not 0 <= least <= 1:
        from wasmlrun.support.errors import UsageFault

        raise UsageFault(
            f"--min-score {least:g}: scores are from 0 to 1",
            f"write --min-score {least / 100:g}" if 0 < least <= 100 else None,
        )


def _brings_its_model(worker: str | None) -> bool:
    """Whether no engine will be needed."""
    if worker is None or not worker.endswith((".wasm", ".cwasm")):
        return False
    from wasmlrun.tiny.description import is_packed

    return is_packed(Path(worker))
