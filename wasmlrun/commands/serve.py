"""`wasmlrun serve`: a site, or models as an API, until a signal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wasmlrun.commands.line.clickform import verbosity_options, with_options
from wasmlrun.commands.line.options import (
    BACKEND,
    CACHE,
    DEVICE,
    DIRS,
    ISOLATION,
    LIMITS,
    GuestOptions,
    typed,
)

if TYPE_CHECKING:
    from wasmlrun.serve.site import SiteSettings
    from wasmlrun.support.messages import Messages

_NEEDED = ("uvicorn", "httptools", "starlette", "python_multipart", "prometheus_client")
_FILE = click.Path(path_type=Path)


class Wanted(GuestOptions):
    """What the command line says besides the folder."""

    worker: str | None = None
    models: tuple[str, ...] = ()
    labels: Path | None = None
    manifest: Path | None = None
    dirs: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8080
    prefix: str = ""
    ignore: tuple[str, ...] = ()
    cors: tuple[str, ...] = ()
    kv: Path | None = None
    reload: bool = False
    allow_private: tuple[str, ...] = ()
    allow_host: tuple[str, ...] = ()
    per_client: int | None = None
    rate: float | None = None
    processes: int | None = None
    queue: int = 128
    recycle: int = 10_000
    context: int = 4096
    max_body: int = 32 << 20
    drain: float = 30.0
    log: str = "text"
    no_oneshot: bool = False


@click.command("serve", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", required=False, type=_FILE, metavar="[DIR]")
@click.option("--worker", metavar="FILE|NAME", help="Worker that classifies, as classify has it.")
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="[NAME=]FILE|NAME",
    help="Model to serve; repeatable. A folder of models serves all of them.",
)
@click.option("--labels", type=_FILE, help="Label file of the models.")
@click.option("--manifest", type=_FILE, help="Manifest of --worker.")
@with_options(DIRS)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    default=8080,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="Port to listen at; 0 is any that is free.",
)
@click.option("--prefix", default="", help="Path in front of all routes of DIR.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    help="Files of DIR that are no workers, as node_modules/**; repeatable.",
)
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Origin to allow; repeatable.")
@click.option("--kv", type=_FILE, help="Keep key/value stores in this file of SQLite.")
@click.option("--reload", is_flag=True, help="Look at DIR again when files in it change.")
@click.option(
    "--allow-private",
    multiple=True,
    metavar="HOST",
    help="Let workers of DIR send requests to this host although it is not public.",
)
@click.option(
    "--allow-host",
    multiple=True,
    metavar="NAME",
    help="Name that requests may have the server go by, as behind a proxy; repeatable.",
)
@click.option(
    "--per-client",
    type=click.IntRange(1),
    metavar="N",
    help="Requests that one address may have at the same time. Default: any number.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    metavar="N",
    help="Requests of one address in a second. Default: any number.",
)
@click.option("--processes", type=click.IntRange(1, 256), help="Default: one for each core.")
@click.option(
    "--queue",
    default=128,
    show_default=True,
    type=click.IntRange(0, 100_000),
    help="Requests that may wait for a process.",
)
@click.option(
    "--recycle",
    default=10_000,
    show_default=True,
    type=click.IntRange(1),
    help="Requests after which a process is replaced.",
)
@click.option(
    "--context",
    default=4096,
    show_default=True,
    type=click.IntRange(64, 1 << 20),
    metavar="TOKENS",
    help="What is said and answered in a chat with a language model.",
)
@click.option(
    "--max-body",
    default=32 << 20,
    show_default=True,
    type=click.IntRange(1),
    help="Bytes of a request's body.",
)
@click.option(
    "--drain",
    default=30.0,
    show_default=True,
    type=click.FloatRange(0, 3600),
    help="Seconds that running requests have at SIGTERM.",
)
@click.option(
    "--log",
    default="text",
    type=click.Choice(["text", "json", "none"]),
    help="Form of the access log.",
)
@click.option("--no-oneshot", is_flag=True, help="Do not answer classify --via auto.")
@click.option("--install", is_flag=True, help="Prepare the interpreters of scripts if need be.")
@with_options(BACKEND, *DEVICE, *LIMITS, ISOLATION, CACHE)
@verbosity_options
def command(folder: Path | None, verbosity: int, install: bool, **rest: Any) -> int:
    """Serve a folder of Wasm Workers Server, or workers and models as an API with a page.

    Without DIR, --worker and --model it is the default model. --timeout is for each request.
    """
    from wasmlrun.support.errors import UsageFault
    from wasmlrun.support.messages import Messages

    messages, wanted = Messages(verbosity), typed(Wanted, rest)
    _check_installed()
    if folder is not None and not folder.is_dir():
        raise UsageFault(f"{folder} is no folder", "name a folder with workers")
    from wasmlrun.serve.order import Order
    from wasmlrun.serve.server import serve
    from wasmlrun.serve.site import SiteSettings
    from wasmlrun.support.tasks import processors

    site = None
    if folder is not None:
        site = SiteSettings(
            folder.absolute(),
            wanted.prefix,
            wanted.ignore,
            wanted.cors,
            wanted.reload,
            wanted.allow_outside,
            wanted.max_body,
        )
        _prepare_interpreters(site, messages, install=install)
    if wanted.worker is not None:
        from wasmlrun.commands.line.options import interpreter

        interpreter(Path(wanted.worker), messages, install=install)
    limits = {k: v for k, v in wanted.limits.items() if v is not None}
    timeout = limits.pop("timeout", 30.0)
    models, chats = _models(wanted, folder is not None)
    order = Order(
        site=site,
        models=models,
        chats=chats,
        context=wanted.context,
        host=wanted.host,
        port=wanted.port,
        processes=wanted.processes or processors(),
        waiting=wanted.queue,
        recycle=wanted.recycle,
        drain=wanted.drain,
        timeout=timeout,
        max_body=wanted.max_body,
        kv=wanted.kv,
        log=wanted.log,
        oneshot=not wanted.no_oneshot,
        allow_private=[host.lower() for host in wanted.allow_private],
        allow_hosts=wanted.allow_host,
        per_client=wanted.per_client,
        rate=wanted.rate,
        require_isolation=wanted.require_isolation,
        trusted_keys=[str(Path(key).absolute()) for key in wanted.trusted_keys],
        trusted_worker=wanted.trusted_worker,
        limits=limits,
        engine={
            "backend": wanted.backend,
            "device": wanted.device,
            "strict_device": wanted.strict_device,
            "precision": wanted.precision,
            "cache": not wanted.no_cache,
        },
    )
    return serve(order, messages)


def _check_installed() -> None:
    from importlib.util import find_spec

    from wasmlrun.support.errors import UsageFault

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise UsageFault(
            f"serve needs what is not installed: {', '.join(missing)}",
            "pip install 'wasmlrun[serve]'",
        )


def _prepare_interpreters(site: SiteSettings, messages: Messages, *, install: bool) -> None:
    """One script of each language is enough to ask for. Raises WasmlrunError."""
    from wasmlrun.commands.line.options import interpreter
    from wasmlrun.serve.site_routes import find_routes

    routes = find_routes(site.folder, ignore=site.ignore).routes
    by_suffix = {route.file.suffix: route.file for route in routes}
    for file in by_suffix.values():
        interpreter(file, messages, install=install)


def _models(wanted: Wanted, has_site: bool) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
    """The wishes of each model that is served, and the language models. Raises UsageFault."""
    from wasmlrun.models.preferred import default_model
    from wasmlrun.support.errors import UsageFault

    worker = _place(wanted.worker)
    shared = {
        "worker": worker,
        "manifest": _place(wanted.manifest),
        "labels": _place(wanted.labels),
        "dirs": list(wanted.dirs),
        "allow_outside": wanted.allow_outside,
    }
    named = dict(_named(wanted.models))
    if len(named) < len(wanted.models):
        raise UsageFault("two models have one name", "name them: --model NAME=FILE")
    chats = [{"name": name, "model": model} for name, model in named.items() if _converses(model)]
    for chat in chats:
        del named[chat["name"]]
    if named:
        return [{"name": name, "model": model, **shared} for name, model in named.items()], chats
    if worker is not None:
        return [{"name": Path(worker).stem, **shared}], chats
    if has_site or chats:
        return [], chats
    return [{"name": _called(default_model()), **shared}], []


def _converses(model: str) -> bool:
    """Whether a model takes prompts: by its file, or by what is said of a pulled one."""
    from wasmlrun.support.model_source import encoding_named, recognise

    path = Path(model)
    if path.is_file():
        with path.open("rb") as file:
            encoding = recognise(file.read(256))
        if encoding is not None:
            return encoding.format.converses
    if not path.exists():
        from wasmlrun.models import store

        entry = store.default().entry(model)
        if entry is None:
            return False  # told where it is read
        path = Path(entry.model.name)
    encoding = encoding_named(path.name)
    return encoding is not None and encoding.format.converses


def _named(models: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for text in models:
        name, equals, model = text.rpartition("=")
        place = _place(model)
        assert place is not None
        inside = _inside(Path(place)) if not equals else []
        found += [(path.stem, str(path)) for path in inside] or [(name or _called(place), place)]
    return found


def _called(model: str) -> str:
    """A file's name without what it ends with; a model's name may have a dot itself."""
    path = Path(model)
    return path.stem if path.exists() else model


def _inside(folder: Path) -> list[Path]:
    """The models in a folder of several; empty for what is one itself."""
    if not folder.is_dir() or any(folder.glob("*.xml")) or (folder / "saved_model.pb").is_file():
        return []
    from wasmlrun.support.model_source import encoding_named

    return [
        path
        for path in sorted(folder.iterdir())
        if encoding_named(path.name) is not None or (path.is_dir() and any(path.glob("*.xml")))
    ]


def _place(name: str | Path | None) -> str | None:
    """A file as an absolute path; the name of what is bundled or pulled as it is."""
    if name is None:
        return None
    path = Path(name)
    return str(path.absolute()) if path.exists() or "/" in str(name) else str(name)
