"""`wasmlrun doctor`: whether this installation works."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options, with_options
from wasmlrun.commands.line.options import REPORT_FILES

TIMEOUT = 120.0


@click.command("doctor", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_options(*REPORT_FILES)
@output_option
@verbosity_options
def command(as_json: bool, verbosity: int, **files: Path | None) -> int:
    """Check this installation: versions, devices, cache, default model, sandbox.

    Runs the default model, and guests that try to break out of the sandbox; each must be
    refused, -v lists them. Exit code 1 when something is wrong.
    """
    from functools import partial

    from wasmlrun.commands.line.options import report_files
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.doctor import answer
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK
    from wasmlrun.support.limits import Limits
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = open_report(
        partial(answer, every=verbosity > 0),
        Asked("doctor"),
        messages,
        as_json=as_json,
        files=report_files(files),
    )

    def work(board: Board) -> int:
        from wasmlrun.diagnose.doctor import examine
        from wasmlrun.support import tempfiles
        from wasmlrun.support.cache import Cache
        from wasmlrun.support.userdata import cache_dir

        tempfiles.adopt()

        findings = examine(Cache(cache_dir(), tell=messages.detail), board)
        report.result(findings)
        return EXIT_OK if findings.healthy else EXIT_EXPECTATION

    limits = Limits(timeout=TIMEOUT)
    return report.run(lambda: in_child(work, report, messages, limits=limits, fence=fence_for()))
