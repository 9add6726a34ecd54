"""`wasmlrun compare`: one picture through several inference engines."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.clickform import verbosity_options

PATH = click.Path(path_type=Path)


@click.command("compare", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("image")
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
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an engine.")
@verbosity_options
def command(
    image: str,
    backends: tuple[str, ...],
    precisions: tuple[str, ...],
    model: str | None,
    labels: Path | None,
    top: int,
    runs: int,
    as_json: bool,
    verbosity: int,
) -> int:
    """Show what several engines make of one picture and one model, side by side.

    Labels and scores, the median latency of an inference without a sandbox, and the greatest
    difference of any score to the first engine's.
    """
    from wasmlrun.commands.watched import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.compare import answer
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = open_report(answer, Asked("compare"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.diagnose.compare import contend, engines_for
        from wasmlrun.pipeline.plan import Wishes, make_plan
        from wasmlrun.vision.source import ImageFile

        picture = ImageFile(image)
        picture.encoded()  # a wrong name is told before anything else
        plan = make_plan(Wishes(model=model, labels=labels))
        found = []
        first = None
        for name in engines_for(plan, backends):
            for precision in precisions or ("f32",):
                one, scores = contend(
                    picture, plan, name, precision, runs, top, board, messages, first
                )
                first = scores if first is None else first
                found.append(one)
        report.result(found)

    def whole() -> int:
        fence = fence_for(files=[image, labels], models=[model])
        return in_child(work, report, messages, image, fence=fence)

    return report.run(whole)
