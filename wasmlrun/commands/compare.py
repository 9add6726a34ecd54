"""`wasmlrun compare`: one picture through several inference engines, or two results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options, with_options
from wasmlrun.commands.line.options import BOUNDS, FOLDER, TRUSTED_KEY, TRUTH
from wasmlrun.support.records import Record

if TYPE_CHECKING:
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.messages import Messages

PATH = click.Path(path_type=Path)


@click.command("compare", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("subjects", nargs=-1, required=True, metavar="IMAGE | RESULT RESULT")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="An engine to compare; repeatable, the first is compared with. Default: all that read it.",
)
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    type=click.Choice(("f32", "bf16", "f16")),
    help="Arithmetic to compute in; repeatable. Default: f32.",
)
@click.option("--model", metavar="FILE|NAME", help="As for classify.")
@click.option("--labels", type=PATH, metavar="FILE", help="As for classify.")
@click.option(
    "-k",
    "--top",
    type=click.IntRange(1),
    default=5,
    metavar="N",
    show_default=True,
    help="How many predictions to show.",
)
@click.option(
    "-n",
    "runs",
    type=click.IntRange(1),
    default=9,
    metavar="N",
    show_default=True,
    help="Inferences of each; the latency is their median.",
)
@with_options(TRUTH, TRUSTED_KEY)
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an engine.")
@with_options(*BOUNDS)
@output_option
@verbosity_options
@click.pass_context
def command(
    context: click.Context,
    /,
    subjects: tuple[str, ...],
    backends: tuple[str, ...],
    precisions: tuple[str, ...],
    model: str | None,
    labels: Path | None,
    top: int,
    runs: int,
    truth: str | None,
    trusted_keys: tuple[str, ...],
    as_json: bool,
    verbosity: int,
    **limits: object,
) -> int:
    """Show what several engines make of one picture, or what changed between two results.

    IMAGE: labels and scores, the median latency of an inference without a sandbox, and the
    greatest difference of any score to the first engine's.

    RESULT RESULT, as batch and classify --json write them: on how many pictures they agree, which
    labels became which, by how much scores differ and, with --truth, which of them is right more
    often, by McNemar's test.
    """
    from wasmlrun.commands.line.options import bounds_of
    from wasmlrun.support.errors import UsageFault
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    bounds = bounds_of(limits, endless=len(subjects) == 2)
    if len(subjects) > 2:
        raise UsageFault("compare takes one picture or two results", "see wasmlrun compare --help")
    of_pictures = ("backends", "precisions", "model", "labels", "top", "runs", "trusted_keys")
    _refuse_others(context, of_pictures if len(subjects) == 2 else ("truth",))
    if len(subjects) == 2:
        return _results(Path(subjects[0]), Path(subjects[1]), truth, as_json, messages, bounds)
    wanted = _Engines(backends, precisions, model, labels, top, runs, trusted_keys)
    return _picture(subjects[0], wanted, as_json, messages, bounds)


class _Engines(Record):
    """What is compared of a picture."""

    backends: tuple[str, ...]
    precisions: tuple[str, ...]
    model: str | None
    labels: Path | None
    top: int
    runs: int
    trusted_keys: tuple[str, ...]


def _refuse_others(context: click.Context, names: tuple[str, ...]) -> None:
    """Raise UsageFault for an option that is for the other kind of subject."""
    from wasmlrun.support.errors import UsageFault

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in names and source is click.core.ParameterSource.COMMANDLINE:
            what = "one picture" if names != ("truth",) else "two results"
            raise UsageFault(f"{parameter.opts[0]} is for comparing {what}")


def _results(
    first: Path, second: Path, truth: str | None, as_json: bool, messages: Messages, limits: Limits
) -> int:
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.differences import answer
    from wasmlrun.supervisor.stages import Board

    report = open_report(answer, Asked("compare"), messages, as_json=as_json)

    def work(_: Board) -> None:
        from wasmlrun.figures.difference import difference
        from wasmlrun.figures.truth import read_truth

        known = read_truth(truth) if truth is not None else None
        report.result(difference(first, second, known))

    def whole() -> int:
        table = None if truth == FOLDER else truth
        fence = fence_for(files=[first, second, table], cached=False)
        return in_child(work, report, messages, limits=limits, fence=fence)

    return report.run(whole)


def _picture(
    image: str, wanted: _Engines, as_json: bool, messages: Messages, limits: Limits
) -> int:
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.compare import answer
    from wasmlrun.supervisor.stages import Board

    report = open_report(answer, Asked("compare"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.diagnose.compare import contend, engines_for
        from wasmlrun.pipeline.plan import Wishes, make_plan
        from wasmlrun.vision.source import ImageFile

        picture = ImageFile(image)
        picture.encoded()  # a wrong name is told before anything else
        plan = make_plan(
            Wishes(model=wanted.model, labels=wanted.labels, trusted_keys=wanted.trusted_keys)
        )
        found = []
        first = None
        for name in engines_for(plan, wanted.backends):
            for precision in wanted.precisions or ("f32",):
                one, scores = contend(
                    picture, plan, name, precision, wanted.runs, wanted.top, board, messages, first
                )
                first = scores if first is None else first
                found.append(one)
        report.result(found)

    def whole() -> int:
        fence = fence_for(
            files=[image, wanted.labels], models=[wanted.model], keys=wanted.trusted_keys
        )
        return in_child(work, report, messages, image, limits=limits, fence=fence)

    return report.run(whole)
