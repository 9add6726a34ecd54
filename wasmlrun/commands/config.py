"""`wasmlrun config`: what is set, and by what."""

from __future__ import annotations

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options


@click.command("config", context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--path", "only_path", is_flag=True, help="Print only where the file is.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object a setting.")
@output_option
@verbosity_options
def command(only_path: bool, as_json: bool, verbosity: int) -> int:
    """Show what is set, and by what: a variable, the configuration file, or nothing.

    The file is TOML with a line KEY = "VALUE" for each setting. A flag of a command beats a
    variable, which beats the file.
    """
    from wasmlrun.commands.work.told import tell
    from wasmlrun.report.views.config import path, settings
    from wasmlrun.support.settings import SETTINGS, config_file, value

    if only_path:
        return tell("config", path(config_file()), as_json=as_json)
    found = [(setting, value(key)) for key, setting in SETTINGS.items()]
    return tell("config", settings(found, config_file()), as_json=as_json)
