"""`wasmlrun doctor`"""

from __future__ import annotations

import click

from wasmlrun.commands.clickform import verbosity_options

TIMEOUT = 120.0


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@verbosity_options
def command(as_json: bool, verbosity: int) -> int:
    """Check this installation: versions, devices, cache, default model, sandbox.

    Runs the default model, and guests that try to break out of the sandbox; each must be
    refused. Exit code 1 when something is wrong.
    """
    import time

    from wasmlrun.supervisor.blame import supervised
    from wasmlrun.supervisor.parent import Death
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK, WasmlrunError
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)

    def work(board: Board) -> int:
        from wasmlrun.diagnose.doctor import examine
        from wasmlrun.report.doctor import write
        from wasmlrun.support.cache import Cache, default_root

        board.timeout, board.deadline = TIMEOUT, time.monotonic() + TIMEOUT
        findings = examine(Cache(default_root(), tell=messages.detail), board, messages)
        write(findings, as_json=as_json)
        return EXIT_OK if findings.healthy else EXIT_EXPECTATION

    def told(error: WasmlrunError, _: Death, __: Board) -> int:
        messages.error(error)
        return error.exit_code

    return supervised(work, told, messages)
