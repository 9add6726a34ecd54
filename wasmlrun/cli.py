"""The command line: flags in, exit code out. Commands import what they need when they run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from wasmlrun.commands import COMMANDS
from wasmlrun.commands.line.reader import Command, read
from wasmlrun.support.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_USAGE,
    LimitExceeded,
    UsageFault,
    WasmlrunError,
    of_the_system,
)
from wasmlrun.support.messages import Messages

if TYPE_CHECKING:
    import click

DESCRIBED = ("classify", "run")
"""Commands that can be called without click."""


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code."""
    messages = Messages(1 if any(a in ("-v", "-vv", "--verbose") for a in _own(arguments)) else 0)
    try:
        code = _quickly(arguments)
        return _by_click(arguments, messages) if code is None else code
    except WasmlrunError as e:  # one that a command did not tell itself
        return _refuse(e, arguments, messages)
    except KeyboardInterrupt:
        messages.info("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader went away, as in `wasmlrun … | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN_PIPE
    except OSError as e:
        return _refuse(of_the_system(e), arguments, messages)
    except MemoryError:
        messages.error(LimitExceeded("there is not enough memory", "free some"))
        return LimitExceeded.exit_code
    except Exception as e:  # noqa: BLE001 - told as what it is, with the traceback under -v
        messages.bug(e)
        return EXIT_BUG


def _quickly(arguments: Sequence[str]) -> int | None:
    """Run a command line that needs no click; None for any other."""
    if not arguments or arguments[0] not in DESCRIBED:
        return None
    command = import_module(f"wasmlrun.commands.{arguments[0]}").command
    assert isinstance(command, Command)
    values = read(command, arguments[1:])
    return None if values is None else command.run(**values)


def _by_click(arguments: Sequence[str], messages: Messages) -> int:
    import click

    from wasmlrun.commands.line.clickform import wasmlrun

    try:
        result = wasmlrun.main(list(arguments), "wasmlrun", standalone_mode=False)
        return result if isinstance(result, int) else EXIT_OK
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.exceptions.NoArgsIsHelpError as e:
        # as for `wasmlrun` alone: help, and the exit code of a command line that says too little
        messages.text(e.ctx.get_help() if e.ctx is not None else e.format_message())
        return EXIT_USAGE
    except click.ClickException as e:
        return _refuse(_as_fault(e, arguments), arguments, messages)
    except click.Abort:
        raise KeyboardInterrupt from None


def _command_of(arguments: Sequence[str]) -> str:
    """The command of a command line that did not get as far as the command."""
    return f"wasmlrun {arguments[0]}" if arguments and arguments[0] in COMMANDS else "wasmlrun"


def _as_fault(error: click.ClickException, arguments: Sequence[str]) -> UsageFault:
    """Click's error in this program's words and form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _command_of(arguments)
    return UsageFault(error.format_message().rstrip("."), f"see {command} --help")


def _own(arguments: Sequence[str]) -> Sequence[str]:
    """The words that are for this program: what follows -- is for another, or names files."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _refuse(error: WasmlrunError, arguments: Sequence[str], messages: Messages) -> int:
    """Tell of a command line that no command has read."""
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report, silent

    if "--json" not in _own(arguments):
        return silent(messages).fail(error)
    name = arguments[0]
    asked = Asked(name, "image" if name == "classify" else "name")
    return open_report(as_it_is, asked, messages, as_json=True).fail(error)
