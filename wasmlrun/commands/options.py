"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from wasmlrun.cache import Cache
    from wasmlrun.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])


def verbosity_options(function: F) -> F:
    """-q and -v, as one number `verbosity`."""

    def more(ctx: click.Context, _: click.Parameter, value: int) -> int:
        return -1 if ctx.params.pop("quiet", False) else value

    function = click.option(
        "-v",
        "--verbose",
        "verbosity",
        count=True,
        callback=more,
        help="Say more; errors with their traceback.",
    )(function)
    return click.option(
        "-q", "--quiet", is_flag=True, is_eager=True, help="Say nothing but errors."
    )(function)


def device_options(function: F) -> F:
    """--device, --strict-device and --precision."""
    function = click.option(
        "--precision",
        type=click.Choice(["f32", "bf16", "f16"]),
        default="f32",
        show_default=True,
        help="Arithmetic of the inference; f32 is the same on every CPU.",
    )(function)
    function = click.option(
        "--strict-device",
        is_flag=True,
        help="An absent device is an error instead of a warning.",
    )(function)
    return click.option(
        "--device",
        type=click.Choice(["CPU", "GPU", "NPU", "AUTO"], case_sensitive=False),
        help="Where to run the model, whatever the worker asks for.",
    )(function)


def cache_options(function: F) -> F:
    """--no-cache"""
    return click.option(
        "--no-cache", is_flag=True, help="Neither use nor fill the cache of compiled things."
    )(function)


def cache_from(no_cache: bool, tell: Callable[[str], None]) -> Cache:
    """The cache that the options and the environment say."""
    from wasmlrun.cache import Cache, default_root

    return Cache(None if no_cache else default_root(), tell=tell)


def limit_options(function: F) -> F:
    """The limits a worker runs under."""
    function = click.option(
        "--max-output",
        type=click.IntRange(1),
        metavar="BYTES",
        help="Most bytes the worker may print. Default: 16 MiB.",
    )(function)
    function = click.option(
        "--max-memory",
        type=click.IntRange(1),
        metavar="BYTES",
        help="Most linear memory the worker may have. Default: 1 GiB.",
    )(function)
    return click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Wall clock for the whole command. Default: 60.",
    )(function)


def limits_from(values: Mapping[str, Any], *, unlimited_output: bool = False) -> Limits:
    """Limits from the options' values, defaults where there are none."""
    from wasmlrun.limits import Limits

    names = {"timeout": "timeout", "max_memory": "memory", "max_output": "output"}
    given = {names[k]: v for k, v in values.items() if k in names and v is not None}
    if unlimited_output:
        given.setdefault("output", None)
    return Limits(**given)
