"""`wasmlrun check`: a worker against wrong and unusual input."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import Named, output_option, verbosity_options, with_options
from wasmlrun.commands.line.options import BACKEND, REPORT_FILES


@click.command("check", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("worker", type=Named("workers"), metavar="WORKER")
@click.option("--model", type=Named("models_here"), metavar="FILE|NAME", help="As for classify.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object a case.")
@click.option("--install", is_flag=True, help="For a script: prepare its interpreter if need be.")
@with_options(BACKEND, *REPORT_FILES)
@output_option
@verbosity_options
def command(
    worker: str,
    model: str | None,
    as_json: bool,
    install: bool,
    backend: str | None,
    verbosity: int,
    **files: Path | None,
) -> int:
    """Try WORKER with pictures of every kind and with wrong input; exit 1 if a case fails.

    WORKER is a module, a script, or a project's folder, for the protocol `tensor`.
    """
    from wasmlrun.commands.line.options import interpreter, report_files
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.diagnose.conformance import check_worker
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import open_report
    from wasmlrun.report.views.check import answer
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.errors import EXIT_EXPECTATION, EXIT_OK
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = open_report(
        answer, Asked("check"), messages, as_json=as_json, files=report_files(files)
    )

    def prepared(_: Board) -> None:
        from wasmlrun.engines import registry
        from wasmlrun.engines.protocol import NoEngineError, Settings
        from wasmlrun.pipeline.plan import Wishes, make_plan
        from wasmlrun.support.errors import UsageFault

        try:
            if backend is not None:
                registry.get(backend, Settings())
        except NoEngineError as e:
            raise UsageFault(f"--backend {backend}: {e}", e.hint) from e
        make_plan(Wishes(worker, model=model))

    def work() -> int:
        interpreter(Path(worker), messages, install=install)
        # whatever is read of worker and model is read behind walls, here and in each case
        fence = fence_for(worker=worker, models=[model])
        code = in_child(prepared, report, messages, fence=fence)
        if code != EXIT_OK:
            return code
        passed = cases = 0
        for outcome in check_worker(worker, model, backend):
            report.result(outcome)
            passed, cases = passed + outcome.passed, cases + 1
        messages.info(f"{passed} of {cases} cases passed")
        return EXIT_OK if passed == cases else EXIT_EXPECTATION

    return report.run(work)
