"""`wasmlrun runtimes`: the interpreters of scripts."""

from __future__ import annotations

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options
from wasmlrun.toolkit.languages import SCRIPTS

_NAMES = tuple(language.name for language in SCRIPTS.values())


@click.group("runtimes", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Prepare, list and remove the interpreters that run scripts as workers."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an interpreter.")
@output_option
@verbosity_options
def list_(as_json: bool, verbosity: int) -> int:
    """List the interpreters and whether they are prepared."""
    from wasmlrun.commands.work.told import tell
    from wasmlrun.report.views.stores import runtimes
    from wasmlrun.toolkit.interpreters import RUNTIMES

    found = [
        {
            "name": name,
            "runtime": runtime.what,
            "ready": runtime.ready,
            "bytes": runtime.path.stat().st_size if runtime.ready else 0,
        }
        for name, runtime in RUNTIMES.items()
    ]
    return tell("runtimes", runtimes(found), as_json=as_json)


@command.command(help=f"Fetch, check, build and precompile interpreters: {', '.join(_NAMES)}.")
@click.argument("names", nargs=-1, required=True, type=click.Choice(_NAMES), metavar="NAME...")
@verbosity_options
def install(names: tuple[str, ...], verbosity: int) -> int:
    """Prepare what is not prepared yet."""
    from wasmlrun.report.reporter import silent
    from wasmlrun.support.messages import Messages
    from wasmlrun.toolkit.interpreters import RUNTIMES
    from wasmlrun.toolkit.interpreters.build import prepare
    from wasmlrun.toolkit.toolchains.installer import Installer

    messages = Messages(verbosity)

    def work() -> None:
        for name in names:
            prepare(RUNTIMES[name], Installer(messages, allowed=True))

    return silent(messages).run(work)


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
