"""`wasmlrun inspect`: what is in a file."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options


@click.command("inspect", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--manifest", is_flag=True, help="Print only the suggested manifest.")
@output_option
@verbosity_options
def command(file: Path, as_json: bool, manifest: bool, verbosity: int) -> int:
    """Look inside a module, a component, a compiled worker, a manifest or a model.

    For a program: what it imports and from which world, which WASI-NN it was built for, what
    it needs that is missing here, its memory, what built it, and a manifest to start from.
    Nothing is run or compiled; a model is loaded by the engine.
    """
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for, key_for
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report
    from wasmlrun.supervisor.stages import Board
    from wasmlrun.support.messages import Messages

    messages = Messages(verbosity)
    report = open_report(as_it_is, Asked("inspect"), messages, as_json=as_json)

    def work(board: Board) -> None:
        from wasmlrun.diagnose.inspection import look_into
        from wasmlrun.report.stdout import put_bytes
        from wasmlrun.report.views.inspection import answer, suggestion

        facts = look_into(file, board)
        if manifest:
            put_bytes(suggestion(facts).encode())
        else:
            report.result(answer(facts))

    def whole() -> int:
        # whatever it is: a manifest names files in its folder
        beside = [file.parent] if file.suffix == ".toml" else []
        fence = fence_for(files=[*beside, *key_for(file)], models=[str(file)])
        return in_child(work, report, messages, str(file), fence=fence)

    return report.run(whole)
