"""`wasmlrun bench`: where a one-shot's time goes, cold and warm."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.clickform import Named, verbosity_options, with_options
from wasmlrun.commands.options import BACKEND, LIMITS, GuestOptions
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.diagnose.bench import Benchmark
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

PATH = click.Path(path_type=Path)


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
        found += ["--trusted-worker"] if self.options.trusted_worker else []
        return [*found, "--allow-outside"] if self.options.allow_outside else found


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
@with_options(BACKEND, *LIMITS)
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
    from wasmlrun.commands.options import typed
    from wasmlrun.commands.watched import Unwalled, in_child
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report
    from wasmlrun.support.messages import Messages

    messages, options = Messages(verbosity), typed(GuestOptions, rest)
    report = open_report(as_it_is, Asked("bench"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.report.bench_picture import draw
        from wasmlrun.report.views.bench import answer
        from wasmlrun.support.errors import UsageFault

        subject = Subject(image, worker, manifest, model, options)
        result = _measured(subject, runs, board, messages)
        report.result(answer(result))
        if save is not None:
            try:
                draw(result, save)
            except (OSError, ValueError) as e:
                raise UsageFault(f"--save {save}: {e}") from e

    unwalled = Unwalled("it starts the processes that it times; each of them has its own walls")
    return report.run(lambda: in_child(work, report, messages, image, fence=unwalled))


def _measured(subject: Subject, runs: int, board: Board, messages: Messages) -> Benchmark:
    """All measurements. Raises WasmlrunError."""
    from wasmlrun.commands.options import engines_from
    from wasmlrun.diagnose import bench
    from wasmlrun.host import Host
    from wasmlrun.nn import GraphPool
    from wasmlrun.pipeline.loading import Loading
    from wasmlrun.pipeline.per_image import Classifier
    from wasmlrun.pipeline.plan import ClassifyOptions, Wishes, hosted, make_plan
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.userdata import cache_dir
    from wasmlrun.vision.source import ImageFile

    picture, options = ImageFile(subject.image), subject.options
    picture.encoded()  # a wrong name is told before anything else
    cache = Cache(cache_dir())
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
    # no clock from here on: a benchmark takes as long as it takes
    board.deadline = 0.0
    messages.detail(f"{runs} processes cold and {runs} warm")
    cold, warm = bench.whole_processes(subject.arguments(), runs)
    host = hosted(plan, Host(GraphPool(engines, board), cache))
    classifier = Classifier(plan, ClassifyOptions(), host, Loading(plan, host), messages)
    latencies, rate = bench.warm_loop(classifier, picture, 10 * runs)
    direct, sandboxed = bench.sandbox_overhead(classifier, picture, 10 * runs)
    return bench.Benchmark(runs, cold, warm, bench.percentiles(latencies), rate, direct, sandboxed)
