"""`wasmlrun bench`: where a one-shot's time goes, cold and warm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.line.clickform import Named, output_option, verbosity_options, with_options
from wasmlrun.commands.line.options import BACKEND, ISOLATION, LIMITS, GuestOptions
from wasmlrun.support.errors import EXIT_OK, UsageFault
from wasmlrun.support.limits import MOST_SECONDS, TABLE
from wasmlrun.support.records import Record, replace

if TYPE_CHECKING:
    from wasmlrun.diagnose.bench import Benchmark
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.pipeline.plan import Plan
    from wasmlrun.report.answer import Answer
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.supervisor.channel import Message
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.messages import Messages
    from wasmlrun.vision.source import ImageSource
    from wasmlrun.walls.child import Fence

PATH = click.Path(path_type=Path)
MOST_TOLD = 1 << 16
"""Bytes of the numbers that the measuring process tells."""


class Subject(Record):
    """What is measured: a picture, its worker and model, and the engines."""

    image: str
    worker: str | None
    manifest: Path | None
    model: str | None
    options: GuestOptions

    def arguments(self) -> list[str]:
        """The same as the command line of `wasmlrun classify`."""
        given = {
            "--worker": self.worker,
            "--manifest": self.manifest,
            "--model": self.model,
            "--backend": self.options.backend,
        }
        found = [self.image]
        for flag, value in given.items():
            found += [flag, str(value)] if value is not None else []
        for key in self.options.trusted_keys:
            found += ["--trusted-key", key]
        for name, value in self.options.limits.items():
            found += [TABLE[name].flag, str(value)] if value is not None else []
        flags = {
            "--trusted-worker": self.options.trusted_worker,
            "--allow-outside": self.options.allow_outside,
            "--require-isolation": self.options.require_isolation,
        }
        return [*found, *(flag for flag, said in flags.items() if said)]

    def fence(self) -> Fence:
        """The walls around whatever reads it."""
        from wasmlrun.pipeline.fences import fence_for

        return fence_for(
            files=[self.image],
            worker=self.worker,
            manifest=self.manifest,
            models=[self.model],
            allow_outside=self.options.allow_outside,
            required=self.options.require_isolation,
            keys=self.options.trusted_keys,
        )


@click.command("bench", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image")
@click.option("--worker", type=Named("workers"), metavar="FILE|NAME", help="As for classify.")
@click.option("--manifest", type=PATH, metavar="FILE", help="As for classify.")
@click.option("--model", type=Named("models_here"), metavar="FILE|NAME", help="As for classify.")
@click.option(
    "-n",
    "runs",
    type=click.IntRange(1),
    default=9,
    metavar="N",
    show_default=True,
    help="Runs of each kind; the warm loop takes ten times as many.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--save", type=PATH, metavar="FILE.png", help="Draw the stages as stacked bars.")
@with_options(BACKEND, *LIMITS, ISOLATION)
@output_option
@verbosity_options
def command(
    image: str,
    worker: str | None,
    manifest: Path | None,
    model: str | None,
    runs: int,
    as_json: bool,
    save: Path | None,
    verbosity: int,
    **rest: object,
) -> int:
    """Say where a one-shot's time goes, cold and warm.

    Whole `wasmlrun classify` processes are timed with an empty cache of their own, then with a
    full one; then images in one process that has all ready, and inferences with and without
    the sandbox.
    """
    from wasmlrun.commands.line.options import typed
    from wasmlrun.commands.work.in_child import terminable
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report
    from wasmlrun.report.views.bench import answer
    from wasmlrun.support.messages import Messages
    from wasmlrun.vision.source import STDIN

    messages = Messages(verbosity)
    subject = Subject(image, worker, manifest, model, typed(GuestOptions, rest))
    report = open_report(as_it_is, Asked("bench"), messages, as_json=as_json)

    def work() -> int:
        if image == STDIN:
            raise UsageFault("bench reads its picture again and again", "name a file")
        result = _measured(subject, runs, report, messages)
        if isinstance(result, int):
            return result
        report.result(answer(result))
        if save is not None:
            _draw(result, save)
        return EXIT_OK

    return report.run(lambda: terminable(work))


def _draw(result: Benchmark, save: Path) -> None:
    """Raises UsageFault when the picture cannot be drawn."""
    from wasmlrun.report.bench_picture import draw

    try:
        draw(result, save)
    except (OSError, ValueError) as e:
        raise UsageFault(f"--save {save}: {e}") from e


def _measured(
    subject: Subject, runs: int, report: Reporter[Answer], messages: Messages
) -> Benchmark | int:
    """All measurements, or the exit code of what failed and was told. Raises WasmlrunError.

    Picture, worker and model are read behind walls only: once to see that they can be, by each
    process that is timed, and by the one that goes through them again and again.
    """
    from wasmlrun.commands.line.options import limits_of
    from wasmlrun.commands.work.in_child import asked_of_child, in_child
    from wasmlrun.diagnose import bench

    fence, limits = subject.fence(), limits_of(subject.options)

    def checked(_: Board) -> None:
        _ready(subject, messages)

    code = in_child(checked, report, messages, subject.image, limits=limits, fence=fence)
    if code != EXIT_OK:
        return code
    messages.detail(f"{runs} processes cold and {runs} warm")
    cold, warm = bench.whole_processes(subject.arguments(), runs)

    def loops(board: Board) -> Message:
        return _loops(_ready(subject, messages), 10 * runs, board, messages)

    # a benchmark takes as long as it takes
    endless = replace(limits, timeout=MOST_SECONDS)
    told = asked_of_child(
        loops, report, messages, subject.image, most=MOST_TOLD, limits=endless, fence=fence
    )
    if isinstance(told, int):
        return told
    return bench.Benchmark(runs, cold, warm, bench.loops_from(told.head))


class _Ready(Record):
    """A picture and what was planned for it, nothing of which is loaded yet."""

    picture: ImageSource
    engines: EnginePool
    cache: Cache
    plan: Plan


def _ready(subject: Subject, messages: Messages) -> _Ready:
    """The picture, and the plan for it. Raises WasmlrunError."""
    from wasmlrun.commands.line.options import cache_from, engines_from
    from wasmlrun.pipeline.plan import Wishes, make_plan
    from wasmlrun.vision.source import ImageFile

    picture, options = ImageFile(subject.image), subject.options
    picture.encoded()  # a wrong name is told before anything else
    cache = cache_from(no_cache=False, tell=messages.detail)
    engines = engines_from(options, cache, messages)
    plan = make_plan(
        Wishes(
            worker=subject.worker,
            manifest=subject.manifest,
            model=subject.model,
            limits=options.limits,
            allow_outside=options.allow_outside,
            trusted_keys=options.trusted_keys,
            trusted_worker=options.trusted_worker,
            cache=cache,
        )
    )
    return _Ready(picture, engines, cache, plan)


def _loops(ready: _Ready, runs: int, board: Board, messages: Messages) -> Message:
    """What the loops take, in numbers. Raises WasmlrunError."""
    from dataclasses import asdict

    from wasmlrun.diagnose.bench import loops_of
    from wasmlrun.host import Host
    from wasmlrun.nn import GraphPool
    from wasmlrun.pipeline.loading import Loading
    from wasmlrun.pipeline.per_image import Classifier
    from wasmlrun.pipeline.plan import ClassifyOptions, hosted
    from wasmlrun.supervisor.channel import Message

    plan = ready.plan
    host = hosted(plan, Host(GraphPool(ready.engines, board), ready.cache))
    classifier = Classifier(plan, ClassifyOptions(), host, Loading(plan, host), messages)
    return Message(asdict(loops_of(classifier, ready.picture, runs)))
