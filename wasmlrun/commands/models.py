"""`wasmlrun models`: pulling, listing, describing and checking models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wasmlrun.commands.line.clickform import Named, output_option, verbosity_options, with_options
from wasmlrun.commands.line.options import ISOLATION, TRUSTED_KEY
from wasmlrun.models.sources import in_packages
from wasmlrun.support.errors import EXIT_OK
from wasmlrun.support.messages import Messages

if TYPE_CHECKING:
    from wasmlrun.models.catalogue import Entry
    from wasmlrun.models.connection import Transfer
    from wasmlrun.report.answer import Answer
    from wasmlrun.report.reporter import Reporter
    from wasmlrun.supervisor.stages import Board

F = TypeVar("F", bound=Callable[..., Any])

MODEL = Named("models", files=False)
HERE = Named("models_here", files=False)
FILE = click.Path(path_type=Path)
VERIFY_SECONDS = TRANSFER_SECONDS = 24 * 3600.0

json_option = click.option("--json", "as_json", is_flag=True, help="JSON Lines.")


def transfer_options(function: F) -> F:
    """A decorator that adds --retries."""
    return click.option(
        "--retries",
        type=click.IntRange(0),
        default=3,
        metavar="N",
        show_default=True,
        help="How many attempts in a row may bring nothing.",
    )(function)


@click.group("models", context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Pull, list, inspect and check models.

    \b
    wasmlrun models pull efficientnet-lite0
    wasmlrun classify photo.jpg

    Models are kept in the platform's data directory; WASMLRUN_DATA_DIR names another.
    """


@command.command("list", short_help="List the models and which are here.")
@json_option
@output_option
@verbosity_options
def list_models(as_json: bool, verbosity: int) -> int:
    """List the models there are, and which of them are here.

    A model is bundled (it came with wasmlrun), pulled, added by you, incomplete, or
    available to pull.
    """
    return _list((), as_json, verbosity)


@command.command("search", short_help="Find models by words.")
@click.argument("words", nargs=-1, required=True, metavar="WORD...")
@json_option
@output_option
@verbosity_options
def search(words: Sequence[str], as_json: bool, verbosity: int) -> int:
    """List the models that have every WORD in their name, task, description or licence.

    \b
    wasmlrun models search classification
    wasmlrun models search text apache
    """
    return _list(words, as_json, verbosity)


def _list(words: Sequence[str], as_json: bool, verbosity: int) -> int:
    from wasmlrun.models import store
    from wasmlrun.models.preferred import default_model
    from wasmlrun.report.views import models

    messages, report = _told(as_json, verbosity)
    own_shelf, default = store.default(), default_model()
    found: list[models.Model] = []

    def keep(entry: Entry, state: str) -> None:
        if entry.matches(words):
            found.append(models.listed(entry, state, default=entry.name == default))

    def one(name: str) -> None:
        standing = own_shelf.standing(name)
        keep(standing.entry, standing.state)

    def work() -> int:
        entry = store.bundled_entry()
        if entry is not None:
            keep(entry, store.BUNDLED)
        code = _each(own_shelf.names(), one, report)
        report.result(models.shelf(found))
        if not found:
            messages.info(f"no model has {' and '.join(words)}; wasmlrun models list shows all")
        return code

    return report.run(work)


@command.command("pull", short_help="Fetch models, or repair those that are here.")
@click.argument("names", nargs=-1, required=True, type=MODEL, metavar="NAME...")
@click.option(
    "--mirror",
    metavar="URL",
    help="Fetch from here instead; it holds the files under their own names (also file://). "
    "Default: what is set, see wasmlrun config.",
)
@transfer_options
@with_options(ISOLATION)
@json_option
@verbosity_options
def pull(
    names: Sequence[str],
    mirror: str | None,
    retries: int,
    require_isolation: bool,
    as_json: bool,
    verbosity: int,
) -> int:
    """Fetch models of the catalogue; what is here already is checked, and repaired."""
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.models import store
    from wasmlrun.models.progress import watching
    from wasmlrun.report.views import models
    from wasmlrun.support.settings import value

    messages, report = _told(as_json, verbosity)
    mirror = mirror or value("mirror").text

    def one(name: str) -> None:
        found = store.bundled_folder(name)
        if found is not None:
            report.result(models.answer([models.placed(name, store.BUNDLED, found)]))
            return
        with watching(messages) as watcher:
            placed = store.default().pull(name, _transfer(retries, mirror), watcher)
        state = "pulled" if placed.changed else "present"
        report.result(models.answer([models.placed(name, state, placed.folder)]))
        messages.info(_what_now(placed.entry))

    def work(_: Board) -> int:
        return _each(names, one, report)

    def whole() -> int:
        from wasmlrun.pipeline.fences import fence_for_shelf
        from wasmlrun.support.limits import Limits

        fence = fence_for_shelf(_places_of(names, mirror), required=require_isolation)
        return in_child(
            work, report, messages, limits=Limits(timeout=TRANSFER_SECONDS), fence=fence
        )

    return report.run(whole)


def _places_of(names: Iterable[str], mirror: str | None) -> list[str]:
    """The addresses that files of these models are fetched from."""
    from wasmlrun.models import store
    from wasmlrun.support.errors import WasmlrunError

    places = [mirror] if mirror else []
    for name in names:
        with suppress(WasmlrunError):  # told where it is read again
            entry = store.default().entry(name)
            if entry is not None and (entry.own or not mirror):
                places += [file.address for file in entry.files]
    return places


@command.command("info", short_help="Describe a model or a model file.")
@click.argument("model", type=Named("models"), metavar="NAME|FILE")
@json_option
@output_option
@verbosity_options
def info(model: str, as_json: bool, verbosity: int) -> int:
    """Describe a model: format, inputs, outputs, parameters, size, sha256.

    Parameters are the numbers that the file stores as constants, without those that hold
    shapes and indices. A model that is not pulled is described from the catalogue alone.
    """
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.views import models

    messages, report = _told(as_json, verbosity)

    # an engine may not survive a file that is made to attack it
    def work(board: Board) -> None:
        report.result(models.facts(*_facts(model, board)))

    return report.run(lambda: in_child(work, report, messages, fence=fence_for(models=[model])))


def _facts(model: str, board: Board) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """What is known of a file or of a name, for the report. Raises WasmlrunError."""
    from wasmlrun.engines.pool import EnginePool
    from wasmlrun.models import store
    from wasmlrun.models.info import ModelInfo, info_of
    from wasmlrun.report.views import models
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
        return models.described(model, store.BUNDLED, found, store.bundled_entry(), info)
    own_shelf = store.default()
    standing = own_shelf.standing(model)
    if standing.state == store.AVAILABLE:
        return models.described(model, standing.state, None, standing.entry, None)
    if not standing.entry.engines:
        return models.described(model, standing.state, standing.folder, standing.entry, None)
    info = look_into(own_shelf.open(model)[1])
    return models.described(model, standing.state, standing.folder, standing.entry, info)


@command.command("verify", short_help="Compare models with their digests and signatures.")
@click.argument("names", nargs=-1, type=Named("models_here"), metavar="[NAME|PATH]...")
@with_options(TRUSTED_KEY)
@click.option(
    "--signature", type=FILE, metavar="FILE", help="Where the signature of the one PATH lies."
)
@json_option
@output_option
@verbosity_options
def verify(
    names: Sequence[str],
    trusted_keys: Sequence[str],
    signature: Path | None,
    as_json: bool,
    verbosity: int,
) -> int:
    """Compare every file of models that are here, by default of all, with its sha256.

    With --trusted-key they must be signed, too: every file of a model's folder, or of PATH, a file
    or a folder of your own, must be as the signature says, and no other may be there.
    """
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.models.verification import Wanted, all_here, remedy, verified
    from wasmlrun.pipeline.fences import fence_for
    from wasmlrun.report.views import models
    from wasmlrun.support.errors import BadModel, UsageFault
    from wasmlrun.support.limits import Limits

    messages, report = _told(as_json, verbosity)
    wanted = Wanted(tuple(map(Path, trusted_keys)), signature)

    def one(name: str) -> None:
        results = verified(name, wanted)
        report.result(models.answer([models.checked(result) for result in results]))
        bad = [result.fault for result in results if result.fault]
        if bad:
            raise BadModel(f"model {name}: {', '.join(bad)}", remedy(name, wanted))

    def work(_: Board) -> int:
        if signature is not None and len(names) != 1:
            raise UsageFault("--signature is of one model", "name one")
        return _each(names or all_here(), one, report)

    files = [*names, *(str(Path(name).parent) for name in names), signature]
    fence = fence_for(files=files, keys=trusted_keys)
    # models are large, and some disks slow
    limits = Limits(timeout=VERIFY_SECONDS)
    return report.run(lambda: in_child(work, report, messages, limits=limits, fence=fence))


@command.command("sign", short_help="Sign a model with a key of yours.")
@click.argument("names", nargs=-1, required=True, type=Named("models_here"), metavar="NAME|PATH...")
@click.option("--key", required=True, type=FILE, metavar="FILE", help="Private key, PEM.")
@click.option(
    "--signature",
    type=FILE,
    metavar="FILE",
    help="Where to write the signature of the one PATH. Default: PATH.sig, or model.sig in it.",
)
@json_option
@verbosity_options
def sign(
    names: Sequence[str], key: Path, signature: Path | None, as_json: bool, verbosity: int
) -> int:
    """Sign a model, a packed worker, any file, or all files of a folder.

    The signature is OpenSSF Model Signing's, as the tool model_signing makes and verifies them.

    \b
    openssl ecparam -name prime256v1 -genkey -noout -out key.pem
    openssl ec -in key.pem -pubout -out key.pub
    wasmlrun models sign net.onnx --key key.pem
    wasmlrun classify photo.jpg --model net.onnx --trusted-key key.pub
    """
    from wasmlrun.models.verification import place_of
    from wasmlrun.report.views import models
    from wasmlrun.support.errors import UsageFault
    from wasmlrun.trust.keys import read_private
    from wasmlrun.trust.signing import sign as make_signature

    _, report = _told(as_json, verbosity)

    def whole() -> int:
        if signature is not None and len(names) != 1:
            raise UsageFault("--signature is of one model", "name one")
        private = read_private(key)

        def one(name: str) -> None:
            made = make_signature(place_of(name), private, signature)
            report.result(models.answer([models.signed(name, made)]))

        return _each(names, one, report)

    return report.run(whole)


@command.command("path")
@click.argument("name", type=HERE, metavar="NAME")
@json_option
@verbosity_options
def path(name: str, as_json: bool, verbosity: int) -> int:
    """Print the folder of a model."""
    from wasmlrun.models import store
    from wasmlrun.report.views import models

    _, report = _told(as_json, verbosity)

    def find() -> None:
        folder = store.bundled_folder(name) or store.default().path(name)
        report.result(models.answer([models.path(name, folder)]))

    return report.run(lambda: report.attempt(find, name))


@command.command("remove")
@click.argument("names", nargs=-1, required=True, type=HERE, metavar="NAME...")
@json_option
@verbosity_options
def remove(names: Sequence[str], as_json: bool, verbosity: int) -> int:
    """Take models off this machine."""
    from wasmlrun.models import store
    from wasmlrun.models.progress import Lines
    from wasmlrun.report.views import models

    messages, report = _told(as_json, verbosity)
    own_shelf = store.default()

    def one(name: str) -> None:
        own_shelf.remove(name, Lines(messages))
        gone = models.placed(name, "removed", own_shelf.folder(name))
        report.result(models.answer([gone]))

    return report.run(lambda: _each(names, one, report))


_ADD = f"""Put a model of your own on the shelf, to use it by name.

FILE or URL may also be a file in a package or repository: {in_packages()}.

The file is copied. Settings of a manifest beside it (FILE with .toml) are taken over; the new
manifest may be edited afterwards, `wasmlrun models path NAME` tells where it is.
"""


@command.command("add", help=_ADD, short_help="Put a model of your own on the shelf.")
@click.argument("name", metavar="NAME")
@click.option(
    "--from", "origin", required=True, metavar="FILE|URL", help="The model; an IR's .bin beside it."
)
@click.option("--labels", metavar="FILE|URL", help="Label file, one label a line.")
@click.option("--sha256", metavar="HEX", help="Refuse the model if its digest is another.")
@transfer_options
@with_options(ISOLATION)
@json_option
@verbosity_options
def add(
    name: str,
    origin: str,
    labels: str | None,
    sha256: str | None,
    retries: int,
    require_isolation: bool,
    as_json: bool,
    verbosity: int,
) -> int:
    """Put a model on the shelf under a name."""
    from wasmlrun.commands.work.in_child import in_child
    from wasmlrun.models import store
    from wasmlrun.models.progress import watching
    from wasmlrun.report.views import models

    messages, report = _told(as_json, verbosity)

    def put(_: Board) -> None:
        with watching(messages) as watcher:
            placed = store.default().add(name, origin, labels, sha256, _transfer(retries), watcher)
        report.result(models.answer([models.placed(name, store.ADDED, placed.folder)]))
        messages.info(_what_now(placed.entry))

    def whole() -> int:
        from wasmlrun.pipeline.fences import fence_for_shelf
        from wasmlrun.support.limits import Limits

        places = [origin] if labels is None else [origin, labels]
        fence = fence_for_shelf(places, required=require_isolation)
        return in_child(
            put, report, messages, name, limits=Limits(timeout=TRANSFER_SECONDS), fence=fence
        )

    return report.run(whole)


@command.command("lock", short_help="Pin the models that a manifest mounts.")
@click.argument("manifest", type=click.Path(path_type=Path), metavar="MANIFEST")
@click.option("--allow-outside", is_flag=True, help="As for classify.")
@json_option
@verbosity_options
def lock(manifest: Path, allow_outside: bool, as_json: bool, verbosity: int) -> int:
    """Write the sha256 of every model that a manifest mounts into it, as allowed_models."""
    from wasmlrun.models.pin import lock as lock_manifest
    from wasmlrun.report.views import models

    _, report = _told(as_json, verbosity)

    def write() -> None:
        for file, digest in lock_manifest(manifest, allow_outside=allow_outside):
            report.result(models.answer([models.locked(file, digest)]))

    return report.run(write)


def _what_now(entry: Entry) -> str:
    """What to do with a model that is here now."""
    from wasmlrun.models.catalogue import CLASSIFICATION
    from wasmlrun.models.preferred import default_model

    if default_model() == entry.name:
        return "wasmlrun classify takes it when no --model is given"
    if entry.own or entry.task == CLASSIFICATION:
        return f"use it with --model {entry.name}"
    return f"what it takes and gives: wasmlrun models info {entry.name}"


def _transfer(retries: int, mirror: str | None = None) -> Transfer:
    from wasmlrun.models.connection import Transfer

    return Transfer(mirror=mirror or None, retries=retries)


def _told(as_json: bool, verbosity: int) -> tuple[Messages, Reporter[Answer]]:
    from wasmlrun.report.answer import Asked
    from wasmlrun.report.reporter import as_it_is, open_report

    messages = Messages(verbosity)
    return messages, open_report(as_it_is, Asked("models"), messages, as_json=as_json)


def _each(names: Iterable[str], action: Callable[[str], None], report: Reporter[Answer]) -> int:
    """One after the other; one that fails does not stop the rest. The first failure's code."""
    codes = [report.attempt(partial(action, name), name) for name in dict.fromkeys(names)]
    return next((code for code in codes if code != EXIT_OK), EXIT_OK)
