"""`wasmlrun cache`: what is in the cache of compiled things, and how it is emptied."""

from __future__ import annotations

import click

from wasmlrun.commands.line.clickform import output_option, verbosity_options


@click.group("cache", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Show or empty the cache of compiled workers and models.

    It is kept in the platform's cache directory, or in WASMLRUN_CACHE_DIR.
    """


@command.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@output_option
@verbosity_options
def info(as_json: bool, verbosity: int) -> int:
    """Where the cache is and how much is in it."""
    from wasmlrun.commands.work.told import tell
    from wasmlrun.report.views.stores import cache as shown
    from wasmlrun.support.cache import DEFAULT_BOUND, Cache
    from wasmlrun.support.userdata import cache_dir

    cache = Cache(cache_dir())
    found = {
        "path": str(cache.root),
        "entries": len(cache.entries()),
        "bytes": cache.size(),
        "bound": DEFAULT_BOUND,
    }
    return tell("cache", shown(found), as_json=as_json)


@command.command()
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, one object an entry.")
@output_option
@verbosity_options
def ls(as_json: bool, verbosity: int) -> int:
    """List the entries, least recently used first."""
    from datetime import datetime

    from wasmlrun.commands.work.told import tell
    from wasmlrun.report.views.stores import entries
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.userdata import cache_dir

    found = [
        {
            "kind": entry.kind,
            "key": entry.key,
            "what": entry.what,
            "bytes": entry.size,
            "used": datetime.fromtimestamp(entry.used).astimezone().isoformat("T", "seconds"),
        }
        for entry in Cache(cache_dir()).entries()
    ]
    return tell("cache", entries(found), as_json=as_json)


@command.command()
@verbosity_options
def clear(verbosity: int) -> int:
    """Remove everything that the cache holds."""
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.sizes import size_text
    from wasmlrun.support.userdata import cache_dir

    freed = Cache(cache_dir()).clear()
    Messages(verbosity).info(f"freed {size_text(freed)}")
    return 0


@command.command()
@click.option(
    "--size", type=click.IntRange(0), metavar="BYTES", help="Down to this size. Default: 2 GiB."
)
@verbosity_options
def prune(size: int | None, verbosity: int) -> int:
    """Remove what was used least recently until the rest fits."""
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.messages import Messages
    from wasmlrun.support.sizes import size_text
    from wasmlrun.support.userdata import cache_dir

    freed = Cache(cache_dir()).prune(size)
    Messages(verbosity).info(f"freed {size_text(freed)}")
    return 0
