"""`wasmlrun bundle`: a worker and its model as one file that Python runs."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.line.clickform import verbosity_options


@click.command("bundle", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("worker", required=False)
@click.option("--model", help="The model, a file or a name; none for a packed worker.")
@click.option("--labels", type=click.Path(path_type=Path), help="Label file, one label a line.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default="app",
    show_default=True,
    help="The file to write.",
)
@verbosity_options
def command(
    worker: str | None, model: str | None, labels: Path | None, output: Path, verbosity: int
) -> int:
    """Write WORKER, its model and wasmlrun itself into one file.

    The file classifies pictures: ./app photo.jpg, with the options of classify. It needs
    Python and a few wheels, which are printed; ./app --needs prints them again.
    """
    from wasmlrun.pipeline.plan import Wishes, make_plan
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.errors import BadWorker, UsageFault
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.sizes import size_text
    from wasmlrun.tiny.description import is_packed
    from wasmlrun.toolkit.bundle import Contents, bundle

    messages = Messages(verbosity)

    def work() -> None:
        plan = make_plan(Wishes(worker=worker, model=model, labels=labels))
        if not plan.worker.is_file():
            raise BadWorker(f"worker {plan.worker} does not exist")
        packed = is_packed(plan.worker)
        if packed and model is not None:
            raise UsageFault(f"{worker} has its model inside", "leave out --model")
        if plan.worker.suffix != ".wasm":
            raise BadWorker(
                f"worker {plan.worker} is no .wasm file",
                "machine code runs under the wasmlrun that made it: bundle the WebAssembly",
            )
        if plan.grant.mounts or plan.grant.environ or plan.settings.protocol != "tensor":
            raise BadWorker(
                f"worker {plan.worker} wants folders, variables or requests",
                "only workers of the protocol tensor can be bundled, with their model as --model",
            )
        if not packed and plan.source is None:
            raise BadWorker(f"worker {plan.worker} has no model", "name one: --model FILE|NAME")
        own = None if packed and labels is None else plan.labels
        made = bundle(Contents(plan.worker, plan.source, plan.settings, own), output)
        messages.info(f"{made.output}: {size_text(made.size)}; it needs Python 3.11 and")
        for requirement in made.needs:
            messages.info(f"  {requirement}")

    return silent(messages).run(work)
