"""`wasmlrun help`: topics, and commands by name."""

from __future__ import annotations

from collections.abc import Sequence

import click

from wasmlrun.commands.line.clickform import verbosity_options


@click.command("help", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("words", nargs=-1, metavar="[TOPIC|COMMAND]")
@verbosity_options
@click.pass_context
def command(ctx: click.Context, words: Sequence[str], verbosity: int) -> int:
    """Explain a topic or a command; without one, list the topics."""
    from wasmlrun.commands.line.topics import TOPICS, overview
    from wasmlrun.report.stdout import put_bytes
    from wasmlrun.support.errors import EXIT_OK, UsageFault

    if not words:
        put_bytes(overview().encode())
        return EXIT_OK
    if len(words) == 1 and words[0] in TOPICS and words[0] != "models":
        put_bytes(TOPICS[words[0]][1]().encode())
        return EXIT_OK
    found: click.Command = ctx.find_root().command
    context = ctx.find_root()
    for word in words:
        below = found.get_command(context, word) if isinstance(found, click.Group) else None
        if below is None:
            raise UsageFault(
                f"there is no topic or command {' '.join(words)}", "wasmlrun help lists the topics"
            )
        found, context = below, click.Context(below, info_name=word, parent=context)
    text = found.get_help(context)
    if len(words) == 1 and words[0] in TOPICS:
        text = f"{TOPICS[words[0]][1]()}\n{text}"
    put_bytes(f"{text}\n".encode())
    return EXIT_OK
