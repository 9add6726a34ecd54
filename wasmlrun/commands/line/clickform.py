"""click's side of the command line: commands found by name, help, completion, what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from wasmlrun.commands import COMMANDS
from wasmlrun.commands.line import usage
from wasmlrun.commands.line.options import OUTPUT
from wasmlrun.commands.line.reader import (
    QUIET,
    VERBOSE,
    VERBOSITY,
    Argument,
    Choice,
    Command,
    Count,
    File,
    Flag,
    Kind,
    Name,
    Number,
    Option,
    Size,
    Whole,
)

if TYPE_CHECKING:
    _AnyType = click.ParamType[Any]
else:
    # a generic class to type checkers only, in click before 8.4
    _AnyType = click.ParamType

F = TypeVar("F", bound=Callable[..., Any])
SETTINGS = {"help_option_names": list(usage.HELP)}


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
        if isinstance(command, Command):
            return clicked(command)
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

            meant = usage.MEANT.get(args[0]) if args else None
            if meant is not None:
                raise click.UsageError(f"{e.message} Did you mean {meant!r}?", ctx) from e
            near = get_close_matches(args[0], COMMANDS, 1) if args else []
            if near:
                raise click.UsageError(f"{e.message} Did you mean {near[0]!r}?", ctx) from e
            raise


@click.group(cls=LazyGroup, context_settings=SETTINGS)
@click.version_option(usage.version(), "--version", message="%(version)s")
def wasmlrun() -> None:
    """Run machine-learning workers in WebAssembly, sandboxed."""


def clicked(command: Command) -> click.Command:
    """A described command in click's form."""
    return click.Command(
        command.name,
        context_settings=SETTINGS,
        callback=command.run,
        params=[_parameter(parameter) for parameter in command.parameters],
        help=command.run.__doc__,
    )


def with_options(*options: Option) -> Callable[[F], F]:
    """A decorator that gives one of click's own commands described options."""

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = click.option(*option.flags, option.name, **_settings(option))(function)
        return function

    return decorate


verbosity_options = with_options(*VERBOSITY)
"""-q and -v, as one number `verbosity`."""


def output_option(function: F) -> F:
    """A decorator that gives one of click's own commands -o: its answer in a file, whole."""
    given = with_options(OUTPUT)

    @wraps(function)
    def into_file_or_not(*arguments: Any, output: Path | None, **rest: Any) -> int:
        def act() -> int:
            return int(function(*arguments, **rest))

        if output is None or output == Path("-"):
            return act()
        from wasmlrun.report.saved import into_file

        return into_file(output, act)

    return given(into_file_or_not)  # type: ignore[return-value] # one parameter more


class _Size(_AnyType):
    name = "bytes"

    def __init__(self, kind: Size) -> None:
        self._kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            return self._kind.read(str(value))
        except ValueError as e:
            self.fail(str(e), param, ctx)


class Named(_AnyType):
    """A word that a shell completes to a name of `wasmlrun.commands.completion`, or to a file."""

    name = "text"

    def __init__(self, of: str, *, files: bool = True) -> None:
        self._of = of
        self._files = files

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Names that begin so; the shell adds its files."""
        from wasmlrun.commands import completion

        found = getattr(completion, self._of)(incomplete) if self._of else []
        items = [CompletionItem(name) for name in found]
        return [*items, CompletionItem(incomplete, type="file")] if self._files else items


def _parameter(described: Option | Argument) -> click.Parameter:
    if isinstance(described, Argument):
        return click.Argument(
            [described.name],
            nargs=-1 if described.many else 1,
            required=described.required,
            metavar=described.metavar,
            type=None if described.kind is None else Named(described.kind.of),
        )
    return click.Option([*described.flags, described.name], **_settings(described))


def _settings(option: Option) -> dict[str, Any]:
    settings: dict[str, Any] = {"help": option.help}
    if isinstance(option.kind, Flag):
        # first -q, then -v, which looks for it
        return {**settings, "is_flag": True, "is_eager": option is QUIET}
    if isinstance(option.kind, Count):
        return {**settings, "count": True, "callback": _loudness if option is VERBOSE else None}
    if not option.required:  # click takes a default, even of None, for a value
        settings["default"] = option.default
    return {
        **settings,
        "type": _type(option.kind),
        "metavar": option.metavar,
        "show_default": option.show_default,
        "multiple": option.multiple,
        "nargs": option.words,
        "required": option.required,
    }


def _loudness(ctx: click.Context, _: click.Parameter, value: int) -> int:
    return -1 if ctx.params.pop(QUIET.name, False) else value


def _type(kind: Kind) -> _AnyType | None:
    if isinstance(kind, File):
        # whether it can be read is told by whoever reads it
        return click.Path(path_type=Path, readable=False)
    if isinstance(kind, Whole):
        return click.IntRange(kind.least, kind.most)
    if isinstance(kind, Number):
        if kind.above is None:
            return click.FLOAT
        return click.FloatRange(kind.above, kind.most, min_open=True)
    if isinstance(kind, Choice):
        return click.Choice(kind.values, case_sensitive=kind.case_sensitive)
    if isinstance(kind, Size):
        return _Size(kind)
    if isinstance(kind, Name):
        return Named(kind.of)
    return None
