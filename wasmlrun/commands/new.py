"""`wasmlrun new`: a fresh worker's project."""

from __future__ import annotations

from pathlib import Path

import click

from wasmlrun.commands.clickform import verbosity_options
from wasmlrun.toolkit.languages import LANGUAGES


@click.command("new", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--lang", type=click.Choice(list(LANGUAGES)), required=True, help="Language of the worker."
)
@verbosity_options
def command(name: str, lang: str, verbosity: int) -> int:
    """Write a fresh worker's project into the new folder NAME."""
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.project import new_project

    messages = Messages(verbosity)
    path = Path(name)

    def work() -> None:
        project = new_project(path.name, LANGUAGES[lang], path.parent)
        messages.info(f"{project.folder}: a worker in {project.language.title}")
        messages.info(f"next: wasmlrun build {project.folder}")

    return silent(messages).run(work)
