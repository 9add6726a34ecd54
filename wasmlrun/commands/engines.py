"""`wasmlrun engines`: which inference engines there are."""

from __future__ import annotations

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options


@click.command("engines", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an engine.")
@output_option
@verbosity_options
def command(as_json: bool, verbosity: int) -> int:
    """List the inference engines: version, devices, encodings, or how to install them.

    The preferred one comes first; --backend NAME of classify, run and others chooses another.
    """
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.engines import answer
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = open_report(answer, Asked("engines"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.diagnose.engines import all_engines

        report.result(all_engines())

    # every device is looked for
    return report.run(lambda: in_child(work, report, messages, fence=fence_for(device="AUTO")))
