"""`wasmlrun report`: figures of a result, and a page to look at it."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import verbosity_options, with_options
from wasmlrun.commands.line.options import BOUNDS, EXPECT_ACCURACY, ISOLATION, ROWS_JUNIT, TRUTH

PATH = click.Path(path_type=Path)


@click.command("report", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("result", type=PATH)
@click.option(
    "-o", "--output", type=PATH, metavar="FILE.html", help="Write a page that needs nothing else."
)
@with_options(TRUTH, EXPECT_ACCURACY)
@click.option(
    "--pictures",
    type=PATH,
    metavar="DIR",
    help="Folder of the pictures, for those that the page shows; no others are looked at.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_options(ROWS_JUNIT, *BOUNDS, ISOLATION)
@verbosity_options
def command(
    result: Path,
    output: Path | None,
    truth: str | None,
    expect_accuracy: float | None,
    pictures: Path | None,
    as_json: bool,
    junit: Path | None,
    require_isolation: bool,
    verbosity: int,
    **limits: object,
) -> int:
    """Say what a RESULT of `batch` or `classify --json` comes to, and draw it as a page.

    Errors by kind and times; with --truth accuracy, calibration and which class is taken for
    which. The page shows the surest, the least sure and the wrong pictures.
    """
    from wasmlrun.commands.line.options import bounds_of
    from wasmlrun.commands.work.judging import Judging, Wish
    from wasmlrun.support.messages import Messages

    wish = Wish(
        result=result,
        truth=truth,
        expect_accuracy=expect_accuracy,
        page=output,
        pictures=pictures,
        junit=junit,
        as_json=as_json,
        limits=bounds_of(limits, endless=True),
        require_isolation=require_isolation,
    )
    return Judging(wish, "report", Messages(verbosity)).run()
