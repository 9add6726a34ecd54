"""`wasmlrun inspect`"""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.clickform import verbosity_options


@click.command("inspect", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--manifest", is_flag=True, help="Print only the suggested manifest.")
@verbosity_options
def command(file: Path, as_json: bool, manifest: bool, verbosity: int) -> int:
    """Look inside a module, a component, a manifest or a model.

    For a program: what it imports and from which world, which WASI-NN it was built for, what
    it needs that is missing here, its memory, what built it, and a manifest to start from.
    Nothing is run or compiled; a model is loaded by the engine.
    """
    from wasmlrun.diagnose.inspection import look_into
    from wasmlrun.report import inspect as report
    from wasmlrun.report import models
    from wasmlrun.support.errors import EXIT_OK, WasmlrunError
    from wasmlrun.support.messages import Messages

    try:
        facts = look_into(file)
    except WasmlrunError as error:
        models.choose(as_json).failure(str(file), error)
        Messages(verbosity).error(error)
        return error.exit_code
    if manifest:
        report.write_suggestion(facts)
    else:
        report.write(facts, as_json=as_json)
    return EXIT_OK
