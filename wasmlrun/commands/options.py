"""Options that several commands share, and what they mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from wasmlrun.limits import MOST, MOST_SECONDS

if TYPE_CHECKING:
    from wasmlrun.cache import Cache
    from wasmlrun.messages import Messages
    from wasmlrun.trace import Trace

    _IntType = click.ParamType[int]
    _AnyType = click.ParamType[Any]
else:
    # a generic class to type checkers only, in click before 8.4
    _IntType = _AnyType = click.ParamType

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


def trace_options(function: F) -> F:
    """--trace"""
    return click.option(
        "--trace",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Write every WASI-NN call and stage to FILE, to look at in ui.perfetto.dev.",
    )(function)


def trace_from(path: Path | None, messages: Messages) -> Trace | None:
    """What --trace and -v ask for, None if nothing; to be opened before the work is forked off.

    Raises:
        UsageFault: the file cannot be written.
    """
    if path is None and messages.verbosity <= 0:
        return None
    from wasmlrun.trace import Trace, TraceFile

    file = TraceFile(path) if path is not None else None
    return Trace(file, messages.detail if messages.verbosity > 0 else None, messages.warn)


def cache_options(function: F) -> F:
    """--no-cache"""
    return click.option(
        "--no-cache", is_flag=True, help="Neither use nor fill the cache of compiled things."
    )(function)


def cache_from(no_cache: bool, tell: Callable[[str], None]) -> Cache:
    """The cache that the options and the environment say."""
    from wasmlrun.cache import Cache, default_root

    return Cache(None if no_cache else default_root(), tell=tell)


class Size(_IntType):
    """A number of bytes, as `512M` or `2G` too (1024-based)."""

    name = "bytes"
    _FACTORS: ClassVar = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Fails the command line when it is no size above 0."""
        match = re.fullmatch(r"([0-9]+)([KMG]?)(?:i?B)?", str(value), re.IGNORECASE)
        size = int(match[1]) * self._FACTORS[match[2].upper()] if match else 0
        if not 0 < size <= MOST:
            self.fail(f"{value!r} is no size: write 1000000, 512M or 2G", param, ctx)
        return size


def limit_options(function: F) -> F:
    """The limits a worker runs under."""
    count = click.IntRange(1, MOST)
    options: list[tuple[str, str, _AnyType, str, str]] = [
        (
            "--timeout",
            "timeout",
            click.FloatRange(0, MOST_SECONDS, min_open=True),
            "SECONDS",
            "Wall clock for the whole command. Default: 60.",
        ),
        (
            "--fuel",
            "fuel",
            count,
            "UNITS",
            "Instructions of one run, the same on every machine. Default: any number.",
        ),
        ("--max-memory", "memory", Size(), "BYTES", "Linear memory. Default: 1G."),
        ("--max-table", "table", count, "N", "Elements of a table. Default: 1000000."),
        ("--max-instances", "instances", count, "N", "Core instances. Default: 256."),
        (
            "--max-model-size",
            "model_size",
            Size(),
            "BYTES",
            "A model that the worker loads. Default: 1G.",
        ),
        ("--max-graphs", "graphs", count, "N", "Graphs alive at once. Default: 16."),
        (
            "--max-contexts",
            "contexts",
            count,
            "N",
            "Execution contexts alive at once. Default: 64.",
        ),
        (
            "--max-tensor-bytes",
            "tensor_bytes",
            Size(),
            "BYTES",
            "Tensors alive at once. Default: 1G.",
        ),
        (
            "--max-process-memory",
            "process_memory",
            Size(),
            "BYTES",
            "Writable memory of the whole process. Default: 8G.",
        ),
        ("--max-output", "output", Size(), "BYTES", "What the worker prints. Default: 16M."),
    ]
    for flag, name, kind, metavar, text in reversed(options):
        function = click.option(
            flag, f"limit_{name}", type=kind, metavar=metavar, help=f"Limit: {text}"
        )(function)
    return click.option(
        "--allow-outside",
        is_flag=True,
        help="Let the manifest mount folders outside its own folder.",
    )(function)


def chosen_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that the command line sets, None where it says nothing."""
    prefix = "limit_"
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def interpreter(worker: Path, messages: Messages, *, install: bool) -> None:
    """Prepare the interpreter of a worker that is a script, or a project of one.

    Without `install` a person on a terminal is asked.

    Raises:
        WasmlrunError: it cannot be prepared, or may not be.
    """
    from wasmlrun.languages import SCRIPTS

    if worker.is_dir():
        from wasmlrun.project import worker_in

        worker = worker_in(worker)
    if worker.suffix not in SCRIPTS:
        return
    from wasmlrun.runtimes import runtime_for

    runtime = runtime_for(worker)
    if runtime is not None and not runtime.ready and worker.is_file():
        from wasmlrun.runtimes.ready import make_ready

        make_ready(runtime, messages, install=install)
