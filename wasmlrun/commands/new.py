"""`wasmlrun new`: a fresh worker's project."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wasmlrun.commands.line.clickform import verbosity_options
from wasmlrun.toolkit.languages import LANGUAGES

if TYPE_CHECKING:
    from wasmlrun.support.messages import Messages


@click.command("new", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("name")
@click.option(
    "--lang",
    type=click.Choice(list(LANGUAGES)),
    help="Language of the worker; on a terminal it is asked for.",
)
@verbosity_options
def command(name: str, lang: str | None, verbosity: int) -> int:
    """Write a fresh worker's project into the new folder NAME."""
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.project import new_project

    messages = Messages(verbosity)
    path = Path(name)

    def work() -> None:
        language = LANGUAGES[lang if lang is not None else _asked(messages)]
        project = new_project(path.name, language, path.parent)
        messages.info(f"{project.folder}: a worker in {project.language.title}")
        messages.info(f"next: wasmlrun build {project.folder}")

    return silent(messages).run(work)


def _asked(messages: Messages) -> str:
    """The language that a person chooses. Raises UsageFault where nobody can be asked."""
    import sys

    from wasmlrun.support.errors import UsageFault

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageFault(
            "which language? --lang is missing", f"write --lang {' or '.join(LANGUAGES)}"
        )
    for number, language in enumerate(LANGUAGES.values(), 1):
        messages.text(f"{number:2}  {language.title}")
    chosen: int = click.prompt(
        "Language", type=click.IntRange(1, len(LANGUAGES)), err=True, default=1
    )
    return list(LANGUAGES)[chosen - 1]
