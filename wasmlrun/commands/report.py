"""`wasmlrun report`: figures of a result, and a page to look at it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.clickform import verbosity_options, with_options
from wasmlrun.commands.options import BOUNDS, FOLDER, ISOLATION, TRUTH

if TYPE_CHECKING:
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import WasmlrunError

PATH = click.Path(path_type=Path)
_MOST_CRASHES = 100
"""A page has fewer pictures."""


@click.command("report", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("result", type=PATH)
@click.option(
    "-o", "--output", type=PATH, metavar="FILE.html", help="Write a page that needs nothing else."
)
@with_options(TRUTH)
@click.option(
    "--pictures",
    type=PATH,
    metavar="DIR",
    help="Folder of the pictures, for those that the page shows; no others are looked at.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_options(*BOUNDS, ISOLATION)
@verbosity_options
def command(
    result: Path,
    output: Path | None,
    truth: str | None,
    pictures: Path | None,
    as_json: bool,
    require_isolation: bool,
    verbosity: int,
    **limits: object,
) -> int:
    """Say what a RESULT of `batch` or `classify --json` comes to, and draw it as a page.

    Errors by kind and times; with --truth accuracy, calibration and which class is taken for
    which. The page shows the surest, the least sure and the wrong pictures.
    """
    from wasmlrun.commands.options import bounds_of
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.registry import for_files
    from wasmlrun.report.renderers.artefact import STDOUT
    from wasmlrun.report.reporter import Reporter, open_report
    from wasmlrun.report.views.figures import answer
    from wasmlrun.supervisor.blame import supervised
    from wasmlrun.support.errors import UsageFault
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    files = {"artefact": output}
    asked = Asked("report", "result")
    if output == STDOUT:
        report = Reporter(answer, for_files(files, asked), messages)
    else:
        report = open_report(answer, asked, messages, as_json=as_json, files=files)
    crashed: set[str] = set()

    def whole() -> int:
        if pictures is not None and not pictures.is_dir():
            raise UsageFault(f"--pictures {pictures}: there is no such folder")
        if pictures is not None and output is None:
            raise UsageFault("--pictures is for a page", "say where to write it: -o report.html")

        def work(board: Board) -> int:
            return report.attempt(lambda: made(board), str(result))

        def made(board: Board) -> None:
            from wasmlrun.figures.summary import summarise
            from wasmlrun.figures.truth import read_truth
            from wasmlrun.report.views.figures import Reported

            summary = summarise(result, read_truth(truth) if truth is not None else None)
            page = None
            if output is not None:
                from wasmlrun.report.page.compose import compose
                from wasmlrun.report.page.thumbnails import Thumbnails

                # before anything is told: a picture may crash its decoder
                page = compose(summary, Thumbnails(pictures, board, crashed))
            report.result(Reported(summary, page))

        return supervised(
            work,
            told,
            messages,
            again=again,
            limits=bounds_of(limits, endless=True),
            fence=fence_for(
                files=[result, pictures, None if truth == FOLDER else truth],
                cached=False,
                required=require_isolation,
            ),
        )

    def again(death: Death, board: Board) -> bool:
        from wasmlrun.supervisor.stages import Stage

        # a picture that crashes its decoder is left out; each can do so once
        named = {d.what for d in death.doing if d.stage is Stage.IMAGE} - crashed
        crashed.update(named)
        return bool(named) and not death.timed_out and len(crashed) < _MOST_CRASHES

    def told(error: WasmlrunError, _: Death, __: Board) -> int:
        return report.fail(error, str(result))

    return report.run(whole)
