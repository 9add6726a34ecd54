"""`wasmlrun runtimes`"""

from __future__ import annotations

import click

from wasmlrun.commands.clickform import verbosity_options

_NAMES = ("javascript", "python", "ruby")


@click.group("runtimes", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Prepare, list and remove the interpreters that run scripts as workers."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an interpreter.")
def list_(as_json: bool) -> None:
    """List the interpreters and whether they are prepared."""
    from wasmlrun.report.answers import write_rows
    from wasmlrun.toolkit.interpreters import RUNTIMES

    write_rows(
        [
            {
                "name": name,
                "runtime": runtime.what,
                "ready": runtime.ready,
                "bytes": runtime.path.stat().st_size if runtime.ready else 0,
            }
            for name, runtime in RUNTIMES.items()
        ],
        as_json=as_json,
    )


@command.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(_NAMES), metavar="NAME...")
@verbosity_options
def install(names: tuple[str, ...], verbosity: int) -> int:
    """Fetch, check, build and precompile interpreters: javascript, python, ruby."""
    from wasmlrun.support.errors import WasmlrunError
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.interpreters import RUNTIMES
    from wasmlrun.toolkit.interpreters.build import prepare
    from wasmlrun.toolkit.toolchains.installer import Installer

    messages = Messages(verbosity)
    try:
        for name in names:
            prepare(RUNTIMES[name], Installer(messages, allowed=True))
    except WasmlrunError as error:
        messages.error(error)
        return error.exit_code
    return 0


@command.command()
@click.argument("names", nargs=-1, required=True, type=click.Choice(_NAMES), metavar="NAME...")
@verbosity_options
def remove(names: tuple[str, ...], verbosity: int) -> int:
    """Remove prepared interpreters, of earlier versions too."""
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.interpreters import RUNTIMES

    messages = Messages(verbosity)
    for name in names:
        found = list(RUNTIMES[name].path.parent.glob(f"{name}-*.wasm"))
        for path in found:
            path.unlink(missing_ok=True)
        messages.info(f"{name}: removed" if found else f"{name}: not prepared")
    return 0
