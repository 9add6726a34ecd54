"""`wasmlrun batch`: many pictures into one file of rows."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.commands import classify
from wasmlrun.commands.line.options import (
    BACKEND,
    CACHE,
    DEVICE,
    EXPECT_ACCURACY,
    ISOLATION,
    LIMITS,
    ROWS_JUNIT,
    TRUTH,
    GuestOptions,
)
from wasmlrun.commands.line.reader import (
    VERBOSITY,
    Argument,
    Choice,
    Command,
    File,
    Flag,
    Name,
    Option,
    Whole,
)
from wasmlrun.commands.work.classification import TOP

if TYPE_CHECKING:
    from wasmlrun.api.settings import ApiSettings
    from wasmlrun.batch.crew import Crew
    from wasmlrun.batch.item import Item
    from wasmlrun.batch.journal import Journal
    from wasmlrun.batch.rows import Row
    from wasmlrun.batch.run import Tally
    from wasmlrun.commands.work.judging import Judging
    from wasmlrun.support.messages import Messages


class Wanted(GuestOptions):
    """What the command line says of the worker, and of how the batch goes."""

    worker: str | None = None
    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    top: int | None = None
    dirs: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    input_layout: str | None = None
    max_pixels: int | None = None
    install: bool = False
    output: Path = Path()
    jobs: int | None = None
    resume: bool = False
    overwrite: bool = False
    max_errors: int | None = None
    no_timings: bool = False
    engine: str = "local"
    address: str | None = None
    truth: str | None = None
    expect_accuracy: float | None = None
    junit: Path | None = None


def batch_images(sources: tuple[str, ...], verbosity: int, **rest: object) -> int:
    """Classify all pictures of SOURCE… and write a row for each to RESULT.

    SOURCE is a folder with all that is beneath it, a pattern such as 'photos/**/*.jpg', a .txt file
    with one path a line, - for such a list on standard input, a .csv or .parquet table of paths
    or pictures, a .tar archive (shards-{000..011}.tar are twelve), or a picture. RESULT is .jsonl,
    .csv or .parquet and has the order of the sources. It appears when all is done; until then the
    rows are in RESULT.parts, and --resume goes on with them, whatever stopped the batch.
    """
    from wasmlrun.commands.line.options import typed
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    wanted = typed(Wanted, rest)
    return silent(messages).run(lambda: _judged(sources, wanted, messages))


def _judged(words: tuple[str, ...], wanted: Wanted, messages: Messages) -> int:
    """The batch and, where its rows are all there, what they come to if that is asked for."""
    from wasmlrun.pipeline.telling import combined
    from wasmlrun.support.errors import EXIT_TERMINATED

    asked = (wanted.truth, wanted.expect_accuracy, wanted.junit)
    # what cannot be judged is told before the work, not after
    judging = None if asked == (None, None, None) else _judging(wanted, messages)
    code = _batch(words, wanted, messages)
    if judging is None or code == EXIT_TERMINATED:
        return code
    return combined(code, judging.run())


def _judging(wanted: Wanted, messages: Messages) -> Judging:
    """What will look at the rows. Raises UsageFault, BadFile."""
    from wasmlrun.commands.line.options import bounds_of
    from wasmlrun.commands.work.judging import Judging, Wish

    wish = Wish(
        result=wanted.output,
        truth=wanted.truth,
        expect_accuracy=wanted.expect_accuracy,
        junit=wanted.junit,
        # the limits of the command line are a worker's
        limits=bounds_of({}, endless=True),
        require_isolation=wanted.require_isolation,
    )
    return Judging(wish, "batch", messages)


def _batch(words: tuple[str, ...], wanted: Wanted, messages: Messages) -> int:
    from wasmlrun.batch import sinks, stream
    from wasmlrun.batch.crew import Crew, Hopeless
    from wasmlrun.batch.journal import Journal
    from wasmlrun.batch.rows import exit_code_of
    from wasmlrun.batch.run import Tally
    from wasmlrun.batch.stopping import kept_rows
    from wasmlrun.figures.rows import read_rows
    from wasmlrun.pipeline.honesty import about_model
    from wasmlrun.support.errors import EXIT_TERMINATED
    from wasmlrun.support.tasks import processors
    from wasmlrun.support.termination import Terminated

    jobs = 1 if wanted.engine == "ray" else wanted.jobs or processors()
    settings = _settings(wanted, jobs)
    finish = sinks.writer_for(wanted.output, wanted.top or TOP)
    words = tuple(stream.expanded(words))
    stream.check(words)
    _join(wanted)
    if wanted.worker is not None and not wanted.worker.endswith(".wasm"):
        from wasmlrun.commands.line.options import interpreter

        interpreter(Path(wanted.worker), messages, install=wanted.install)
    crew = Crew(settings, jobs, _once(messages), timings=not wanted.no_timings)
    journal, tally = Journal(wanted.output), Tally()
    try:
        identity = crew.identity()
        job = _job(words, wanted, settings, identity)
        if not journal.open(job, resume=wanted.resume, overwrite=wanted.overwrite):
            messages.info(f"{wanted.output} is complete already")
            for row in read_rows(wanted.output):
                tally.add(exit_code_of(row.error))
            return tally.code
        note = about_model(identity["model"])
        if note is not None:
            messages.info(note)
        with kept_rows(messages):
            _classify(words, wanted, settings, crew, journal, tally, messages)
        finish(journal)
    except Hopeless as hopeless:
        raise hopeless.error from None
    except Terminated:
        return EXIT_TERMINATED
    finally:
        crew.close()
        journal.close()
    return tally.code


def _classify(
    words: tuple[str, ...],
    wanted: Wanted,
    settings: ApiSettings,
    crew: Crew,
    journal: Journal,
    tally: Tally,
    messages: Messages,
) -> None:
    """The rows that are not there yet. Raises what `wasmlrun.batch.run` does."""
    import time

    from wasmlrun.batch import progress, stream
    from wasmlrun.batch.run import keep, skip_done

    items = stream.pictures(words, skip=journal.count(), allow_outside=wanted.allow_outside)
    skip_done(journal, items, tally)
    before, started = tally.done, time.monotonic()
    if before:
        messages.info(f"going on after {before:,} pictures")
    with progress.watching(messages, before) as watcher:
        stream.count_beside(words, watcher, allow_outside=wanted.allow_outside)
        found = _rows(items, wanted, settings, crew, messages)
        keep(found, journal, tally, watcher, max_errors=wanted.max_errors)
    seconds = time.monotonic() - started
    messages.info(
        f"{tally.done:,} pictures, {tally.errors:,} errors; {tally.done - before:,} in "
        f"{progress.duration(seconds)}, {(tally.done - before) / max(seconds, 1e-9):.0f} a second"
    )


def _join(wanted: Wanted) -> None:
    """Be part of the Ray cluster, where the work is to be done on one. Raises UsageFault,
    SystemRefused.
    """
    from wasmlrun.support.errors import UsageFault

    if wanted.engine == "ray":
        from wasmlrun.ray import engine

        engine.connect(wanted.address)
    elif wanted.address is not None:
        raise UsageFault("--address is a Ray cluster's", "add --engine ray")


def _rows(
    items: Iterator[Item],
    wanted: Wanted,
    settings: ApiSettings,
    crew: Crew,
    messages: Messages,
) -> Generator[Row, None, None]:
    """The rows of the items, from wherever they are classified."""
    if wanted.engine == "ray":
        from wasmlrun.ray import engine

        identity = crew.identity()
        crew.close()  # it has said what must be the same everywhere
        timings = not wanted.no_timings
        return engine.classified(
            items, settings, identity, messages.info, actors=wanted.jobs, timings=timings
        )
    from wasmlrun.batch.run import classified

    return classified(items, crew, settings["parallel"])


def _settings(wanted: Wanted, jobs: int) -> ApiSettings:
    """What every child is told. Raises UsageFault."""
    import os

    from wasmlrun.api.settings import checked
    from wasmlrun.support.errors import UsageFault

    if os.name != "posix":
        raise UsageFault(
            "batch works in processes that need a POSIX system", "use classify, or Linux"
        )
    return checked(
        worker=wanted.worker,
        manifest=wanted.manifest,
        model=wanted.model,
        labels=wanted.labels,
        limits=wanted.limits,
        top=wanted.top or TOP,
        expect=None,
        min_score=None,
        dirs=wanted.dirs,
        writable=wanted.writable,
        arguments=wanted.arguments,
        input_layout=wanted.input_layout,
        max_pixels=wanted.max_pixels,
        allow_outside=wanted.allow_outside,
        trusted_keys=wanted.trusted_keys,
        trusted_worker=wanted.trusted_worker,
        backend=wanted.backend,
        device=wanted.device,
        strict_device=wanted.strict_device,
        precision=wanted.precision,
        cache=not wanted.no_cache,
        isolation="process",
        require_isolation=wanted.require_isolation,
        parallel=jobs,
        calls_per_process=None,
    )


def _job(
    words: tuple[str, ...],
    wanted: Wanted,
    settings: ApiSettings,
    identity: dict[str, str | None],
) -> dict[str, Any]:
    """What the rows follow from: another job's rows are not gone on with."""
    from wasmlrun import __version__

    # these decide how the work is done, not what comes of it
    aside = {"parallel", "cache", "calls_per_process", "require_isolation", "isolation"}
    return {
        "wasmlrun": __version__,
        "sources": list(words),
        "timings": not wanted.no_timings,
        **{name: value for name, value in settings.items() if name not in aside},
        **identity,
    }


def _once(messages: Messages) -> Callable[[str], None]:
    """Tell what children have to say, each thing once: there are several of them."""
    told: set[str] = set()

    def hear(text: str) -> None:
        for line in text.splitlines():
            if line not in told and len(told) < _MOST_TOLD:
                told.add(line)
                messages.info(line)

    return hear


_MOST_TOLD = 100
_SHARED = {
    parameter.name: parameter
    for parameter in classify.command.parameters
    if isinstance(parameter, Option)
}

command = Command(
    "batch",
    batch_images,
    (
        Argument("sources", "SOURCE...", many=True, kind=Name()),
        Option(
            ("-o", "--output"),
            "output",
            "Where the rows go: .jsonl, .csv or .parquet. It appears when all is done.",
            File(),
            "RESULT",
            required=True,
        ),
        Option(
            ("--resume",),
            "resume",
            "Go on with a batch that did not finish; with none there, begin.",
            Flag(),
        ),
        Option(("--overwrite",), "overwrite", "Replace RESULT, and what was begun for it.", Flag()),
        Option(
            ("--max-errors",),
            "max_errors",
            "Stop when more than N pictures have failed. Default: never.",
            Whole(0),
            "N",
        ),
        Option(
            ("--jobs", "--workers"),
            "jobs",
            "Pictures at the same time, each in a process. Default: the number of processors, of "
            "the whole cluster with --engine ray.",
            Whole(1, 1024),
            "N",
        ),
        Option(
            ("--engine",),
            "engine",
            "Where the work is done: on this machine, or on a Ray cluster (wasmlrun[ray]).",
            Choice(("local", "ray")),
            default="local",
            show_default=True,
        ),
        Option(
            ("--address",),
            "address",
            "The Ray cluster. Default: RAY_ADDRESS, else one of this machine alone.",
            metavar="HOST:PORT",
        ),
        Option(
            ("--no-timings",),
            "no_timings",
            "Rows without times: the same every time, byte for byte.",
            Flag(),
        ),
        TRUTH,
        EXPECT_ACCURACY,
        ROWS_JUNIT,
        *(
            _SHARED[name]
            for name in ("worker", "manifest", "model", "labels", "top", "dirs", "writable")
        ),
        *(_SHARED[name] for name in ("arguments", "input_layout", "max_pixels", "install")),
        BACKEND,
        *DEVICE,
        *LIMITS,
        ISOLATION,
        CACHE,
        *VERBOSITY,
    ),
)
