"""`wasmlrun check`"""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.clickform import verbosity_options


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("worker", metavar="WORKER")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object a case.")
@click.option("--install", is_flag=True, help="For a script: prepare its interpreter if need be.")
@verbosity_options
def command(worker: str, as_json: bool, install: bool, verbosity: int) -> int:
    """Try WORKER with pictures of every kind and with wrong input; exit 1 if a case fails.

    WORKER is a module, a script, or a project's folder, for the protocol `tensor`.
    """
    from wasmlrun.commands.options import interpreter
    from wasmlrun.diagnose.conformance import check_worker
    from wasmlrun.pipeline.plan import Wishes, make_plan
    from wasmlrun.report.answers import write_rows
    from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK, WasmlrunError
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    try:
        interpreter(Path(worker), messages, install=install)
        make_plan(Wishes(worker))
    except WasmlrunError as error:
        messages.error(error)
        return error.exit_code
    passed = True
    for outcome in check_worker(worker):
        passed = passed and outcome.passed
        row = {
            "result": "pass" if outcome.passed else "FAIL",
            "case": outcome.case,
            "detail": outcome.detail,
        }
        write_rows([row], as_json=as_json)
    return EXIT_OK if passed else EXIT_EXPECTATION
