"""The command line: flags in, exit code out. Commands import what they need when they run."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

import click

from wasmlrun import usage
from wasmlrun.errors import (
    EXIT_BROKEN_PIPE,
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_OK,
    UsageFault,
    WasmlrunError,
)
from wasmlrun.messages import Messages
from wasmlrun.usage import COMMANDS


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, not to list them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command's module."""
        if cmd_name not in COMMANDS:
            return None
        command = import_module(f"wasmlrun.commands.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def get_help(self, ctx: click.Context) -> str:
        """The same text as the entry point shows without click."""
        return usage.text()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With the nearest known command when there is none of this name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as e:
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, 1) if args else []
            if near:
                raise click.UsageError(f"{e.message} Did you mean {near[0]!r}?", ctx) from e
            raise


@click.group(cls=LazyGroup, context_settings={"help_option_names": list(usage.HELP)})
@click.version_option(usage.version(), "--version", message="%(version)s")
def wasmlrun() -> None:
    """Run machine-learning workers in WebAssembly, sandboxed."""


def invoke(arguments: Sequence[str]) -> int:
    """Run one command line in this process and return its exit code."""
    messages = Messages(1 if any(a in ("-v", "-vv", "--verbose") for a in arguments) else 0)
    try:
        result = wasmlrun.main(list(arguments), "wasmlrun", standalone_mode=False)
        return result if isinstance(result, int) else EXIT_OK
    except click.exceptions.Exit as e:
        return e.exit_code
    except click.ClickException as e:
        return _refuse(_as_fault(e, arguments), arguments, messages)
    except WasmlrunError as e:  # one that a command did not report itself
        return _refuse(e, arguments, messages)
    except (KeyboardInterrupt, click.Abort):
        messages.info("interrupted")
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # the reader went away, as in `wasmlrun … | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return EXIT_BROKEN_PIPE
    except Exception as e:  # noqa: BLE001 - told as what it is, with the traceback under -v
        messages.bug(e)
        return EXIT_BUG


def _command_of(arguments: Sequence[str]) -> str:
    """The command of a command line that did not get as far as the command."""
    return f"wasmlrun {arguments[0]}" if arguments and arguments[0] in COMMANDS else "wasmlrun"


def _as_fault(error: click.ClickException, arguments: Sequence[str]) -> UsageFault:
    """Click's error in this program's words and form."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else _command_of(arguments)
    return UsageFault(error.format_message().rstrip("."), f"see {command} --help")


def _refuse(error: WasmlrunError, arguments: Sequence[str], messages: Messages) -> int:
    if "--json" in arguments:
        from wasmlrun.report import JsonReport

        JsonReport(sys.stdout).failure(None, error)
    messages.error(error)
    return error.exit_code
