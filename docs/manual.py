"""Man pages and shell completions, made from the program itself: `hatch_build.py` puts them in the
wheel, whose `share/` an installer copies beside `bin/`.

    python docs/manual.py FOLDER
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from wasmlrun.commands.line.clickform import wasmlrun as program
from wasmlrun.commands.line.topics import TOPICS
from wasmlrun.commands.line.usage import version
from wasmlrun.support.settings import CONFIG, SETTINGS

NAME = "wasmlrun"
COMPLETIONS = {
    "bash": f"bash-completion/completions/{NAME}",
    "zsh": f"zsh/site-functions/_{NAME}",
    "fish": f"fish/vendor_completions.d/{NAME}.fish",
}
"""Where each shell looks, below share/."""
RAW = "\b"
"""click's mark of a paragraph whose lines stay as they are."""


def files() -> dict[str, str]:
    """Each file's place below share/ -> its text."""
    found = {}
    for context in contexts(click.Context(program, info_name=NAME)):
        name = context.command_path.replace(" ", "-")
        found[f"man/man1/{name}.1"] = page(context)
    for shell, place in COMPLETIONS.items():
        found[place] = completion(shell)
    return found


def contexts(context: click.Context) -> Iterator[click.Context]:
    """A command and all below it."""
    yield context
    for name in names(context):
        below = context.command.get_command(context, name)  # type: ignore[attr-defined]
        if not below.hidden:
            yield from contexts(click.Context(below, info_name=name, parent=context))


def names(context: click.Context) -> list[str]:
    """The commands below a command."""
    command = context.command
    return command.list_commands(context) if isinstance(command, click.Group) else []


def page(context: click.Context) -> str:
    """A command's man page, in section 1."""
    command, title = context.command, context.command_path.replace(" ", "-")
    first, *rest = paragraphs(command.help or "")
    release = version().replace(f"{NAME} ", "")
    lines = [
        f'.TH "{title.upper()}" "1" "" "{NAME} {release}" "{NAME}"',
        *(".SH NAME", f"{plain(title)} \\- {plain(one_line(first).rstrip('.'))}"),
        *(".SH SYNOPSIS", f".B {plain(context.command_path)}"),
        plain(" ".join(command.collect_usage_pieces(context))),
        ".SH DESCRIPTION",
        *(line for text in (first, *rest) for line in paragraph(text)),
    ]
    lines += section("COMMANDS", [(name, about(context, name)) for name in names(context)])
    options = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    records = [option.get_help_record(context) for option in options]
    lines += section("OPTIONS", [record for record in records if record is not None])
    if context.parent is None:
        lines += [".SH EXIT STATUS", *paragraph(RAW + TOPICS["exit-codes"][1]())]
        lines += section("ENVIRONMENT", list(variables()))
        see = [f"{NAME}-{name}" for name in names(context)]
    else:
        see = [context.parent.command_path.replace(" ", "-")]
        see += [f"{title}-{name}" for name in names(context)]
    lines += [".SH SEE ALSO", ", ".join(f"\\fB{plain(name)}\\fR(1)" for name in see)]
    return "\n".join(lines) + "\n"


def about(context: click.Context, name: str) -> str:
    """The first sentence about a command below another."""
    below = context.command.get_command(context, name)  # type: ignore[attr-defined]
    return one_line(paragraphs(below.help or "")[0])


def variables() -> Iterator[tuple[str, str]]:
    """The variables that are followed."""
    for setting in SETTINGS.values():
        yield setting.variable, f"{setting.meaning}. Otherwise: {setting.otherwise}."
    yield CONFIG, "another configuration file; wasmlrun config --path names the one that holds"
    yield "NO_COLOR", "no colours, whatever it is set to"


def section(title: str, entries: list[tuple[str, str]]) -> list[str]:
    """A section of terms with their meaning; nothing where there are none."""
    lines = [f".SH {title}"] if entries else []
    for term, meaning in entries:
        lines += [".TP", f"\\fB{plain(term)}\\fR", plain(one_line(meaning))]
    return lines


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a docstring."""
    return re.split(r"\n\s*\n", cleandoc(text)) if text.strip() else [""]


def paragraph(text: str) -> list[str]:
    """A paragraph in roff's words."""
    if not text.startswith(RAW):
        return [".PP", plain(one_line(text))]
    kept = [plain(line) or "\\&" for line in text.removeprefix(RAW).strip("\n").split("\n")]
    return [".PP", ".nf", *kept, ".fi"]


def one_line(text: str) -> str:
    """The text without its ends of lines."""
    return " ".join(text.split())


def plain(text: str) -> str:
    """Text that roff takes for nothing else."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\n".join(f"\\&{line}" if line[:1] == "." else line for line in text.split("\n"))


def completion(shell: str) -> str:
    """The script that teaches a shell; it asks the program for the words."""
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(program, {}, NAME, f"_{NAME.upper()}_COMPLETE")
    # not source(), which wants the shell to be on this machine
    return made.source_template % made.source_vars()


def write(share: Path) -> list[str]:
    """Write all of them below a folder; the places."""
    found = files()
    for place, text in found.items():
        target = share / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8", newline="\n")
    return sorted(found)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
