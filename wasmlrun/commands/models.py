"""`wasmlrun models`"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wasmlrun.commands.clickform import verbosity_options
from wasmlrun.support.errors import EXIT_OK, WasmlrunError
from wasmlrun.support.messages import Messages

if TYPE_CHECKING:
    from wasmlrun.models.download import Transfer
    from wasmlrun.report.models import Report, Row
    from wasmlrun.supervisor.stages import Board

F = TypeVar("F", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="JSON Lines.")


def transfer_options(function: F) -> F:
    """--retries."""
    return click.option(
        "--retries",
        type=click.IntRange(0),
        default=3,
        metavar="N",
        show_default=True,
        help="How many attempts in a row may bring nothing.",
    )(function)


@click.group("models", no_args_is_help=False)
def command() -> None:
    """Pull, list, inspect and check models.

    \b
    wasmlrun models pull mobilenet-v2
    wasmlrun classify photo.jpg --model mobilenet-v2

    Models are kept in the platform's data directory; WASMLRUN_DATA_DIR names another.
    """


@command.command("list", short_help="List the models and which are here.")
@json_option
@verbosity_options
def list_models(as_json: bool, verbosity: int) -> int:
    """List the models there are, and which of them are here."""
    from wasmlrun.models import store
    from wasmlrun.report import models
    from wasmlrun.support import bundled

    messages, report = Messages(verbosity), models.choose(as_json)
    own_shelf = store.default()
    rows: list[Row] = []
    code = EXIT_OK
    default = store.bundled_folder(bundled.DEFAULT_MODEL)
    if default is not None:
        size = sum(f.stat().st_size for f in default.iterdir() if f.suffix in (".xml", ".bin"))
        rows.append(
            models.listed(
                bundled.DEFAULT_MODEL,
                "bundled",
                size,
                "Apache-2.0",
                "the default: the ten classes of CIFAR-10, a demonstration",
            )
        )
    for name in own_shelf.names():
        try:
            standing = own_shelf.standing(name)
        except WasmlrunError as error:
            report.failure(name, error)
            messages.error(error)
            code = error.exit_code
            continue
        entry = standing.entry
        rows.append(
            models.listed(
                name, standing.state, entry.size, entry.licence, entry.description, own=entry.own
            )
        )
    report.rows(rows)
    return code


@command.command("pull", short_help="Fetch models, or repair those that are here.")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--mirror",
    envvar="WASMLRUN_MIRROR",
    metavar="URL",
    help="Fetch from here instead; it holds the files under their own names (also file://). "
    "Default: WASMLRUN_MIRROR.",
)
@transfer_options
@json_option
@verbosity_options
def pull(
    names: Sequence[str], mirror: str | None, retries: int, as_json: bool, verbosity: int
) -> int:
    """Fetch models of the catalogue; what is here already is checked, and repaired."""
    from wasmlrun.models import store
    from wasmlrun.models.progress import watching
    from wasmlrun.report import models

    messages, report = Messages(verbosity), models.choose(as_json)

    def one(name: str) -> None:
        found = store.bundled_folder(name)
        if found is not None:
            report.rows([models.placed(name, "bundled", found)])
            return
        with watching(messages) as watcher:
            placed = store.default().pull(name, _transfer(retries, mirror), watcher)
        state = "pulled" if placed.changed else "present"
        report.rows([models.placed(name, state, placed.folder)])
        messages.info(f"use it with --model {name}")

    return _each(names, one, report, messages)


@command.command("info", short_help="Describe a model or a model file.")
@click.argument("model", metavar="NAME|FILE")
@json_option
@verbosity_options
def info(model: str, as_json: bool, verbosity: int) -> int:
    """Describe a model: format, inputs, outputs, parameters, size, sha256.

    Parameters are the numbers that the file stores as constants, without those that hold
    shapes and indices. A model that is not pulled is described from the catalogue alone.
    """
    from wasmlrun.report import models
    from wasmlrun.supervisor.blame import supervised
    from wasmlrun.supervisor.parent import Death

    messages, report = Messages(verbosity), models.choose(as_json)

    def work(board: Board) -> int:
        return _guarded(None, lambda: report.facts(*_facts(model, board)), report, messages)

    def told(error: WasmlrunError, _: Death, __: Board) -> int:
        report.failure(None, error)
        messages.error(error)
        return error.exit_code

    # an engine may not survive a file that is made to attack it
    return supervised(work, told, messages)


def _facts(model: str, board: Board) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What is known of a file or of a name, for the report. Raises WasmlrunError."""
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.models import store
    from wasmlrun.models.info import ModelInfo, info_of
    from wasmlrun.report import models
    from wasmlrun.supervisor.stages import Stage
    from wasmlrun.support.model_source import ModelSource, read_model
    from wasmlrun.support.paths import exists

    def look_into(source: ModelSource) -> ModelInfo:
        with board.doing(Stage.MODEL, f"model {model}"):
            return info_of(source, model, EnginePool())

    path = Path(model)
    if exists(path) or path.name != model:
        info = look_into(read_model(path))
        return models.described(None, None, path.absolute(), None, info)
    found = store.bundled_folder(model)
    if found is not None:
        info = look_into(read_model(found))
        return models.described(model, "bundled", found, None, info)
    own_shelf = store.default()
    standing = own_shelf.standing(model)
    if standing.state == store.AVAILABLE:
        return models.described(model, standing.state, None, standing.entry, None)
    info = look_into(own_shelf.open(model)[1])
    return models.described(model, standing.state, standing.folder, standing.entry, info)


@command.command("verify", short_help="Compare pulled models with their digests.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@json_option
@verbosity_options
def verify(names: Sequence[str], as_json: bool, verbosity: int) -> int:
    """Compare every file of pulled models, by default of all, with its sha256."""
    from wasmlrun.models import store
    from wasmlrun.report import models
    from wasmlrun.support.errors import BadModel

    messages, report = Messages(verbosity), models.choose(as_json)
    own_shelf = store.default()

    def one(name: str) -> None:
        results = own_shelf.verify(name)
        report.rows([models.checked(result) for result in results])
        bad = [f"{r.file} is {r.state}" for r in results if r.state != store.OK]
        if bad:
            raise BadModel(
                f"model {name}: {', '.join(bad)}", f"fetch it again: wasmlrun models pull {name}"
            )

    chosen = names or [n for n in own_shelf.names() if own_shelf.folder(n).is_dir()]
    if not chosen:
        messages.info("no model is pulled")
    return _each(chosen, one, report, messages)


@command.command("path")
@click.argument("name", metavar="NAME")
@json_option
@verbosity_options
def path(name: str, as_json: bool, verbosity: int) -> int:
    """Print the folder of a model."""
    from wasmlrun.models import store
    from wasmlrun.report import models

    messages, report = Messages(verbosity), models.choose(as_json)

    def find() -> None:
        folder = store.bundled_folder(name) or store.default().path(name)
        report.rows([models.path(name, folder)])

    return _guarded(name, find, report, messages)


@command.command("remove")
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
@verbosity_options
def remove(names: Sequence[str], as_json: bool, verbosity: int) -> int:
    """Take models off this machine."""
    from wasmlrun.models import store
    from wasmlrun.models.progress import Lines
    from wasmlrun.report import models

    messages, report = Messages(verbosity), models.choose(as_json)
    own_shelf = store.default()

    def one(name: str) -> None:
        own_shelf.remove(name, Lines(messages))
        report.rows([models.placed(name, "removed", own_shelf.folder(name))])

    return _each(names, one, report, messages)


@command.command("add", short_help="Put a model of your own on the store.")
@click.argument("name", metavar="NAME")
@click.option(
    "--from", "origin", required=True, metavar="FILE|URL", help="The model; an IR's .bin beside it."
)
@click.option("--labels", metavar="FILE|URL", help="Label file, one label a line.")
@click.option("--sha256", metavar="HEX", help="Refuse the model if its digest is another.")
@transfer_options
@json_option
@verbosity_options
def add(
    name: str,
    origin: str,
    labels: str | None,
    sha256: str | None,
    retries: int,
    as_json: bool,
    verbosity: int,
) -> int:
    """Put a model of your own on the shelf, to use it by name.

    The file is copied. Settings of a manifest beside it (FILE with .toml) are taken over; the
    new manifest may be edited afterwards, `wasmlrun models path NAME` tells where it is.
    """
    from wasmlrun.models import store
    from wasmlrun.models.progress import watching
    from wasmlrun.report import models

    messages, report = Messages(verbosity), models.choose(as_json)

    def put() -> None:
        with watching(messages) as watcher:
            placed = store.default().add(name, origin, labels, sha256, _transfer(retries), watcher)
        report.rows([models.placed(name, "added", placed.folder)])
        messages.info(f"use it with --model {name}")

    return _guarded(name, put, report, messages)


@command.command("lock", short_help="Pin the models that a manifest mounts.")
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option("--allow-outside", is_flag=True, help="As for classify.")
@json_option
@verbosity_options
def lock(manifest: Path, allow_outside: bool, as_json: bool, verbosity: int) -> int:
    """Write the sha256 of every model that a manifest mounts into it, as allowed_models."""
    from wasmlrun.models.pin import lock as lock_manifest
    from wasmlrun.report import models

    messages, report = Messages(verbosity), models.choose(as_json)

    def write() -> None:
        for file, digest in lock_manifest(manifest, allow_outside=allow_outside):
            report.rows([models.locked(file, digest)])

    return _guarded(None, write, report, messages)


def _transfer(retries: int, mirror: str | None = None) -> Transfer:
    from wasmlrun.models.download import Transfer

    return Transfer(mirror=mirror or None, retries=retries)


def _each(
    names: Sequence[str], action: Callable[[str], None], report: Report, messages: Messages
) -> int:
    """One after the other; one that fails does not stop the rest. The first failure's code."""
    codes = [_guarded(n, partial(action, n), report, messages) for n in dict.fromkeys(names)]
    return next((code for code in codes if code != EXIT_OK), EXIT_OK)


def _guarded(
    name: str | None, action: Callable[[], None], report: Report, messages: Messages
) -> int:
    try:
        action()
    except WasmlrunError as error:
        report.failure(name, error)
        messages.error(error)
        return error.exit_code
    return EXIT_OK
