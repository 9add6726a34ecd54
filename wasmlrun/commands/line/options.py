"""Options that several commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from wasmlrun.commands.line.reader import (
    FACTORS,
    VERBOSITY,
    Choice,
    File,
    Flag,
    Kind,
    Number,
    Option,
    Size,
    Whole,
)
from wasmlrun.report.forms import FILES
from wasmlrun.support.limits import MOST, MOST_SECONDS, TABLE, Limit, Limits
from wasmlrun.support.records import NOTHING, Record

if TYPE_CHECKING:
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.pipeline.foreign import Named
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.messages import Messages
    from wasmlrun.trace.recorder import Trace

DEVICE = (
    Option(
        ("--device",),
        "device",
        "Where to run the model, whatever the worker asks for.",
        Choice(("CPU", "GPU", "NPU", "AUTO"), case_sensitive=False),
    ),
    Option(
        ("--strict-device",),
        "strict_device",
        "An absent device is an error instead of a warning.",
        Flag(),
    ),
    Option(
        ("--precision",),
        "precision",
        "Arithmetic of the inference; f32 is the same on every CPU, for 8-bit models nearly.",
        Choice(("f32", "bf16", "f16")),
        default="f32",
        show_default=True,
    ),
)
TRACE = Option(
    ("--trace",),
    "trace",
    "Write every WASI-NN call and stage to FILE, to look at in ui.perfetto.dev.",
    File(),
    "FILE",
)
OUTPUT = Option(
    ("-o", "--output"),
    "output",
    "Write the answer to FILE, when it is whole, instead of stdout.",
    File(),
    "FILE",
)
BACKEND = Option(
    ("--backend",),
    "backend",
    "Engine that runs the models, whatever the manifest says; wasmlrun engines lists them.",
    metavar="NAME",
)
CACHE = Option(
    ("--no-cache",), "no_cache", "Neither use nor fill the cache of compiled things.", Flag()
)


def _limit(limit: Limit) -> Option:
    kind: Kind = Whole(1, MOST)
    if limit.is_time:
        kind = Number(0, MOST_SECONDS)
    elif limit.is_size:
        kind = Size(MOST)
    text = f"Limit: {limit.help} Default: {_default(limit)}."
    return Option((limit.flag,), f"limit_{limit.name}", text, kind, limit.metavar)


def _default(limit: Limit) -> str:
    """As it would be written on a command line."""
    if limit.default is None:
        return limit.unlimited
    if not limit.is_size:
        return f"{limit.default:.0f}"
    letter, factor = [(x, f) for x, f in FACTORS.items() if limit.default % f == 0][-1]
    return f"{limit.default // factor}{letter}"


TRUSTED_KEY = Option(
    ("--trusted-key",),
    "trusted_keys",
    "Use only models that this public key has signed; repeatable, one of them is enough.",
    metavar="FILE",
    multiple=True,
)
TRUST = (
    TRUSTED_KEY,
    Option(
        ("--trusted-worker",),
        "trusted_worker",
        "The worker must be signed with such a key too.",
        Flag(),
    ),
)
"""Whose models are used; a manifest may demand more."""
LIMITS = (
    *TRUST,
    Option(
        ("--allow-outside",),
        "allow_outside",
        "Let a manifest, and what stands beside a file, lead outside of its own folder.",
        Flag(),
    ),
    *map(_limit, TABLE.values()),
)
"""The limits a worker runs under."""
PROCESS_MEMORY = next(o for o in LIMITS if o.name == "limit_process_memory")
BOUNDS = (
    Option(
        ("--timeout",),
        "limit_timeout",
        "Limit: wall clock of the whole command. Default: none for results.",
        Number(0, MOST_SECONDS),
        "SECONDS",
    ),
    PROCESS_MEMORY,
)
"""The limits of work over results, of which there may be any number."""
READING = (*(o for o in LIMITS if o.name == "limit_timeout"), PROCESS_MEMORY)
"""The limits of reading what others made, where no guest runs."""
ISOLATION = Option(
    ("--require-isolation",),
    "require_isolation",
    "An error where this system lacks one of the walls around the work.",
    Flag(),
)
DIRS = Option(
    ("--dir",),
    "dirs",
    "Mount a folder; repeatable.",
    metavar="HOST:GUEST[:rw]",
    multiple=True,
)
FOLDER = "folder"
"""What --truth says for the folders' names."""
TRUTH = Option(
    ("--truth",),
    "truth",
    "What pictures show: their folders' names, or a table with the columns image and label.",
    metavar="folder|FILE.csv",
)
EXPECT_ACCURACY = Option(
    ("--expect-accuracy",),
    "expect_accuracy",
    "Exit 1 unless this share of the pictures is right, such as 0.88; needs --truth.",
    Number(),
    "X",
)
ROWS_JUNIT = Option(
    ("--junit",),
    "junit",
    "Write FILE as JUnit XML: a test case a picture, wrong and failed ones among them.",
    File(),
    "FILE",
)
WRITABLE = Option(
    ("--writable",),
    "writable",
    "Let the worker write to a mounted folder.",
    metavar="GUEST_PATH",
    multiple=True,
)
"""For workers that are given pictures or files."""
ARGUMENTS = Option(
    ("--arg",),
    "arguments",
    "Argument for the worker's own command line; repeatable.",
    metavar="ARG",
    multiple=True,
)
REPORT_FILES = tuple(
    Option((f"--{name}",), name, help, File(), "FILE") for name, help in FILES.items()
)
"""The forms of an answer that are written to a file."""
ELSEWHERE = (
    Option(
        ("--nn-preload",),
        "nn_preload",
        "A model as WasmEdge names it; repeatable.",
        metavar="NAME:ENCODING:TARGET:PATH",
        multiple=True,
    ),
    Option(
        ("-S",),
        "wasmtime",
        "A model as wasmtime names it; repeatable.",
        metavar="nn-graph=FORMAT::DIR",
        multiple=True,
    ),
)
"""Models in the words of other hosts."""
ALL = (*ELSEWHERE, BACKEND, *DEVICE, *LIMITS, ISOLATION, CACHE, TRACE, *VERBOSITY)
"""What every command that runs a guest has."""


class GuestOptions(Record):
    """What the options of `ALL` say; a command that has fewer of them leaves the defaults."""

    nn_preload: tuple[str, ...] = ()
    wasmtime: tuple[str, ...] = ()
    backend: str | None = None
    device: str | None = None
    strict_device: bool = False
    precision: str = "f32"
    allow_outside: bool = False
    require_isolation: bool = False
    no_cache: bool = False
    trusted_keys: tuple[str, ...] = ()
    trusted_worker: bool = False
    limits: Mapping[str, Any] = NOTHING
    """By name; None where the command line says nothing."""


G = TypeVar("G", bound=GuestOptions)


def typed(kind: type[G], values: Mapping[str, object]) -> G:
    """A command's parameters as a record, its limits together in one field.

    A parameter that the record has no field for raises TypeError.
    """
    apart = {f"limit_{name}" for name in TABLE}
    own: dict[str, Any] = {name: value for name, value in values.items() if name not in apart}
    return kind(**own, limits=chosen_limits(values))


def models_elsewhere(options: GuestOptions) -> list[Named]:
    """The models that the options `ELSEWHERE` name. Raises UsageFault."""
    if not options.nn_preload and not options.wasmtime:
        return []
    from wasmlrun.pipeline.foreign import named_elsewhere

    return named_elsewhere(options.nn_preload, options.wasmtime)


def report_files(values: Mapping[str, Any]) -> dict[str, Path | None]:
    """The file of each form of `REPORT_FILES`, taken out of a command's parameters."""
    return {name: values[name] for name in FILES}


def trace_from(path: Path | None, messages: Messages) -> Trace | None:
    """What --trace and -v ask for, None if nothing; to be opened before the work is forked off.

    Raises:
        UsageFault: the file cannot be written.
    """
    if path is None and messages.verbosity <= 0:
        return None
    from wasmlrun.trace.recorder import Trace, TraceFile

    file = TraceFile(path) if path is not None else None
    return Trace(file, messages.detail if messages.verbosity > 0 else None, messages.warn)


def cache_from(no_cache: bool, tell: Callable[[str], None]) -> Cache:
    """The cache that the options and the environment say."""
    from wasmlrun.support.cache import Cache
    from wasmlrun.support.userdata import cache_dir

    return Cache(None if no_cache else cache_dir(), tell=tell)


def engines_from(
    options: GuestOptions, cache: Cache, messages: Messages, streams: int = 1
) -> EnginePool:
    """The engines, as the options BACKEND and DEVICE say.

    Raises:
        UsageFault: no engine has the name that was given, or it is not installed.
    """
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.engines.protocol import Settings

    return EnginePool(
        Settings(options.precision, cache, streams),
        backend=options.backend,
        device=options.device,
        strict_device=options.strict_device,
        warn=messages.warn,
        tell=messages.detail,
    )


def limits_of(options: GuestOptions) -> Limits:
    """The limits of the command line alone, which hold before a manifest is read."""
    from wasmlrun.support.limits import with_limits

    return with_limits(Limits(), options.limits)


def chosen_limits(values: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that the command line sets, None where it says nothing."""
    prefix = "limit_"
    return {k.removeprefix(prefix): v for k, v in values.items() if k.startswith(prefix)}


def bounds_of(values: Mapping[str, object], *, endless: bool) -> Limits:
    """What the options `BOUNDS` say; `endless` work has no time limit unless they give one."""
    from wasmlrun.support.limits import with_limits

    usual = Limits(timeout=MOST_SECONDS) if endless else Limits()
    return with_limits(usual, chosen_limits(values))


def interpreter(worker: Path, messages: Messages, *, install: bool) -> None:
    """Prepare the interpreter of a worker that is a script, or a project of one.

    Without `install` a person on a terminal is asked.

    Raises:
        WasmlrunError: it cannot be prepared, or may not be.
    """
    from wasmlrun.toolkit.languages import SCRIPTS

    if worker.is_dir():
        from wasmlrun.toolkit.project import worker_in

        worker = worker_in(worker)
    if worker.suffix not in SCRIPTS:
        return
    from wasmlrun.toolkit.interpreters import runtime_for

    runtime = runtime_for(worker)
    if runtime is not None and not runtime.ready and worker.is_file():
        from wasmlrun.toolkit.interpreters.ready import make_ready

        make_ready(runtime, messages, install=install)
