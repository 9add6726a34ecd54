"""`wasmlrun bench`: where a one-shot's time goes, cold and warm."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.clickform import Named, verbosity_options, with_options
from wasmlrun.commands.options import BACKEND, LIMITS

PATH = click.Path(path_type=Path)


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
    from wasmlrun.commands.options import GuestOptions, engines_from, typed
    from wasmlrun.commands.watched import Unwalled, in_child
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages, options = Messages(verbosity), typed(GuestOptions, rest)
    report = open_report(as_it_is, Asked("bench"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.diagnose import bench
        from wasmlrun.host import Host
        from wasmlrun.nn import GraphPool
        from wasmlrun.pipeline.loading import Loading
        from wasmlrun.pipeline.per_image import Classifier
        from wasmlrun.pipeline.plan import ClassifyOptions, Wishes, hosted, make_plan
        from wasmlrun.report.bench_picture import draw
        from wasmlrun.report.views.bench import answer
        from wasmlrun.support.cache import Cache
        from wasmlrun.support.errors import UsageFault
        from wasmlrun.support.userdata import cache_dir
        from wasmlrun.vision.source import ImageFile

        ImageFile(image).encoded()  # a wrong name is told before anything else
        cache = Cache(cache_dir())
        engines = engines_from(options, cache, messages)
        plan = make_plan(
            Wishes(
                worker=worker,
                manifest=manifest,
                model=model,
                limits=options.limits,
                allow_outside=options.allow_outside,
            )
        )
        arguments = [image]
        given = {
            "--worker": worker,
            "--manifest": manifest,
            "--model": model,
            "--backend": options.backend,
        }
        for flag, value in given.items():
            arguments += [flag, str(value)] if value is not None else []
        arguments += ["--allow-outside"] if options.allow_outside else []
        # no clock from here on: a benchmark takes as long as it takes
        board.deadline = 0.0
        messages.detail(f"{runs} processes cold and {runs} warm")
        cold, warm = bench.whole_processes(arguments, runs)
        host = hosted(plan, Host(GraphPool(engines, board), cache))
        classifier = Classifier(plan, ClassifyOptions(), host, Loading(plan, host), messages)
        picture = ImageFile(image)
        latencies, rate = bench.warm_loop(classifier, picture, 10 * runs)
        direct, sandboxed = bench.sandbox_overhead(classifier, picture, 10 * runs)
        result = bench.Benchmark(
            runs, cold, warm, bench.percentiles(latencies), rate, direct, sandboxed
        )
        report.result(answer(result))
        if save is not None:
            try:
                draw(result, save)
            except (OSError, ValueError) as e:
                raise UsageFault(f"--save {save}: {e}") from e

    unwalled = Unwalled("it starts the processes that it times; each of them has its own walls")
    return report.run(lambda: in_child(work, report, messages, image, fence=unwalled))
