"""From what the user said to what will run: worker, grant, model, settings, labels.

Everything that can be wrong with files and options is found here, before anything runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from wasmlrun.manifest.grant import Grant, from_manifest, with_writable
from wasmlrun.manifest.manifest import Classify, Manifest, Mount
from wasmlrun.manifest.mounts import parse_mounts
from wasmlrun.models.preferred import default_model
from wasmlrun.pipeline.trusted import with_gate
from wasmlrun.support import bundled
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadManifest, BadModel, BadWorker
from wasmlrun.support.limits import MAX_PIXELS, Limits, lowered, raised, with_limits
from wasmlrun.support.model_source import ModelSource, read_model
from wasmlrun.support.paths import exists, is_dir, is_file
from wasmlrun.support.records import NOTHING, Record, replace
from wasmlrun.support.settings import value
from wasmlrun.toolkit.languages import SCRIPTS
from wasmlrun.vision.labels import read_labels

if TYPE_CHECKING:
    from wasmlrun.host import Host
    from wasmlrun.pipeline.foreign import Named
    from wasmlrun.pipeline.program import ProgramPlan
    from wasmlrun.trust.gate import Gate


class Wishes(Record):
    """The command line of `classify` as far as it decides what runs."""

    worker: str | None = None
    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    writable: Sequence[str] = ()
    input_layout: str | None = None
    arguments: Sequence[str] = ()
    allow_outside: bool = False
    limits: Mapping[str, Any] = NOTHING
    dirs: Sequence[str] = ()
    elsewhere: Sequence[Named] = ()
    """Models that options of other hosts name; without `model` the first is the model."""
    trusted_keys: Sequence[str] = ()
    """Files of keys, of which one must have signed each model."""
    trusted_worker: bool = False
    """Whether the worker must be signed too."""
    cache: Cache | None = None
    """Where it is remembered that a signature is right."""


class ClassifyOptions(Record):
    """What the command line says beyond the plan."""

    top: int = 5
    expect: str | None = None
    min_score: float | None = None
    max_pixels: int = MAX_PIXELS
    explain: bool = False
    """Whether each answer shows which parts of the picture it is made of."""


class Plan(Record):
    """What will run. Immutable; the same for every image of the command."""

    worker: Path
    grant: Grant
    settings: Classify
    labels: Sequence[str] | None
    model: str | None
    """What the guest is told: a name to load by, or the path in a mounted folder."""
    source: ModelSource | None
    """The model as far as the host knows it."""
    models: Mapping[str, ModelSource] = NOTHING
    """Models that the guest may load by name."""
    only_for_serve: Sequence[str] = ()
    arguments: Sequence[str] = ()
    limits: Limits = Limits()
    raised: Sequence[str] = ()
    """What the manifest asked for beyond the limits, in sentences; it was not given."""
    shown_worker: str = ""
    shown_model: str | None = None
    chosen: str = ""
    """Why this model, where nobody named one."""


def make_plan(wishes: Wishes) -> Plan:
    """Find and check everything that the command names.

    Raises:
        WasmlrunError: of the kind of the first thing that is wrong.
    """
    if wishes.elsewhere and wishes.model is None:
        wishes = replace(wishes, model=wishes.elsewhere[0].words)
    worker = find_worker(wishes.worker)
    manifest = find_manifest(wishes, worker)
    if manifest is None:
        plan = _without_manifest(wishes, worker)
    elif wishes.model is not None:
        plan = _with_given_model(wishes, worker, manifest)
    else:
        plan = _from_manifest(wishes, worker, manifest)
    grant = replace(plan.grant, mounts=parse_mounts(wishes.dirs, plan.grant.mounts))
    grant = with_writable(grant, wishes.writable)
    if wishes.input_layout is not None:
        nhwc = wishes.input_layout == "nhwc"
        grant = replace(grant, nhwc_input=nhwc, layout_said=True)
    if wishes.elsewhere:
        found = models_elsewhere(wishes.elsewhere, allow_outside=wishes.allow_outside)
        plan = replace(plan, models={**plan.models, **found})
    if plan.settings.protocol == "wws":
        from wasmlrun.pipeline.private_copies import with_private_copies

        grant = replace(grant, mounts=with_private_copies(grant.mounts))
    known = [*plan.models.values(), *([plan.source] if plan.source is not None else [])]
    grant = with_gate(
        grant, known, wishes.trusted_keys, worker=wishes.trusted_worker, cache=wishes.cache
    )
    if grant.gate is not None and not grant.nn:
        plan = _as_signed(plan, grant.gate)
    worker, grant = interpreted(plan.worker, grant)
    limits = with_limits(lowered(Limits(), manifest.limits if manifest else {}), wishes.limits)
    return replace(
        plan,
        worker=worker,
        grant=grant,
        labels=_labels(wishes, plan.settings) or plan.labels,
        limits=limits,
        raised=tuple(raised(Limits(), manifest.limits)) if manifest else (),
        arguments=wishes.arguments,
        shown_worker=wishes.worker or bundled.DEFAULT_WORKER,
    )


def hosted(plan: Plan | ProgramPlan, host: Host) -> Host:
    """The host with what a plan gives its guests."""
    return replace(host, models=plan.models, limits=plan.limits, grant=plan.grant)


def find_worker(name: str | None) -> Path:
    """The file of a worker given as a path or as the name of a bundled one."""
    if name is None:
        name = bundled.DEFAULT_WORKER
    elif is_dir(Path(name)):
        from wasmlrun.toolkit.project import worker_in

        return worker_in(Path(name))
    elif exists(Path(name)) or "/" in name or name.endswith((".wasm", ".wat")):
        return Path(name)
    found = bundled.worker(name)
    if found is None:
        raise BadWorker(
            f"worker {name} does not exist",
            "give a .wasm file, a script, a project's folder, or the name of the bundled worker: "
            f"{bundled.DEFAULT_WORKER}",
        )
    return found


def check_program(path: Path) -> None:
    """A file that was named as a worker must be WebAssembly. Raises BadWorker."""
    from wasmlrun.binary.magic import no_program

    try:
        with path.open("rb") as stream:
            head = stream.read(64)
    except OSError:
        return  # told by whoever reads all of it
    fault = no_program(path, head)
    if fault is not None:
        raise fault


def interpreted(worker: Path, grant: Grant) -> tuple[Path, Grant]:
    """A script's interpreter, with the script handed to it; anything else as it is."""
    if worker.suffix not in SCRIPTS:
        return worker, grant
    from wasmlrun.toolkit import interpreters

    script = interpreters.handed_over(worker)
    if grant.gate is not None:
        grant.gate.admit_script(worker, script[interpreters.VARIABLE])
    given = {**grant.environ, **script}
    return interpreters.runtime_of(worker), replace(
        grant, environ=given, interpreter=True, shown=worker.name
    )


def find_manifest(wishes: Wishes, worker: Path) -> Manifest | None:
    """The manifest that was named, or that stands beside a worker that was named."""
    if wishes.manifest is not None:
        return _read(wishes.manifest, allow_outside=wishes.allow_outside)
    beside = worker.with_suffix(".toml")
    if wishes.worker is not None and is_file(beside):
        return _read(beside, allow_outside=wishes.allow_outside, within=worker.parent)
    return None


def _labels(wishes: Wishes, settings: Classify) -> list[str] | None:
    if wishes.labels is not None:
        return read_labels(wishes.labels)
    if settings.labels is not None:
        return read_labels(settings.labels, within=settings.within)
    return None


def _without_manifest(wishes: Wishes, worker: Path) -> Plan:
    """The command line is the grant: WASI-NN, and the model that it names."""
    if wishes.model is None and wishes.worker is not None and not _is_bundled(worker):
        if not exists(worker):
            raise BadWorker(f"worker {worker} does not exist", "check the path")
        if wishes.worker.endswith((".wasm", ".cwasm")):
            from wasmlrun.tiny.description import is_packed

            if is_packed(worker):
                return _packed(worker)
        if worker.suffix not in SCRIPTS:
            check_program(worker)
        if worker.suffix not in SCRIPTS and not wishes.arguments and not wishes.dirs:
            raise BadManifest(
                f"worker {worker} has no manifest: {worker.with_suffix('.toml')} does not exist",
                "write one, name one with --manifest, or give the worker a model with --model",
            )
        if worker.suffix not in SCRIPTS:
            return Plan(worker, Grant(nn=True), Classify(), None, None, None)
    shown, chosen = (wishes.model, "") if wishes.model is not None else _default_model()
    name, source, settings = find_model(shown, allow_outside=wishes.allow_outside)
    return Plan(
        worker,
        Grant(nn=True),
        settings,
        None,
        name,
        source,
        {name: source},
        shown_model=shown,
        chosen=chosen,
    )


def _packed(worker: Path) -> Plan:
    """A worker with its model inside: it says for itself what it takes, and gets nothing else."""
    from wasmlrun.tiny import description

    described = description.read(worker)
    settings = described.settings
    if settings is None:
        raise BadWorker(
            f"worker {worker} holds a model that takes no picture",
            f"give it a tensor: wasmlrun run {worker} < tensor.raw",
        )
    name = described.model
    return Plan(worker, Grant(), settings, described.labels, name, None, shown_model=name)


def _as_signed(plan: Plan, gate: Gate) -> Plan:
    """A packed worker's plan, made of the bytes that were signed and not of the file's."""
    from wasmlrun.tiny import description

    # one that was compiled ahead is sealed, with what it says of itself
    if plan.worker.suffix != ".wasm" or not description.is_packed(plan.worker):
        return plan
    from wasmlrun.sandbox.worker import read_program

    code = read_program(plan.worker)
    gate.admit_worker(plan.worker, code)
    described = description.understood(code, plan.worker)
    return replace(plan, settings=described.settings or plan.settings, labels=described.labels)


def _with_given_model(wishes: Wishes, worker: Path, manifest: Manifest) -> Plan:
    """--model replaces the manifest's model; so its own settings replace the manifest's too,
    unless the manifest was named by the user together with the model.
    """
    assert wishes.model is not None
    name, source, settings = find_model(wishes.model, allow_outside=wishes.allow_outside)
    if wishes.manifest is not None and manifest.classify is not None:
        settings = manifest.classify
    elif manifest.classify is not None:
        settings = replace(settings, protocol=manifest.classify.protocol)
    models = {**preloaded(manifest), name: source}
    return Plan(
        worker,
        from_manifest(manifest),
        settings,
        None,
        name,
        source,
        models,
        manifest.only_for_serve,
        shown_model=wishes.model,
    )


def _from_manifest(wishes: Wishes, worker: Path, manifest: Manifest) -> Plan:
    models = preloaded(manifest)
    settings = manifest.classify or Classify(protocol="wws")
    name, source = settings.model, None
    if name is None and len(models) == 1:
        name = next(iter(models))
    if name is None and settings.protocol == "tensor" and not models and not manifest.folders:
        # a worker for any model: it gets the default one
        shown, chosen = _default_model()
        plan = _with_given_model(replace(wishes, model=shown), worker, manifest)
        return replace(plan, chosen=chosen)
    if name is not None:
        source = models.get(name) or _mounted_model(name, manifest)
    return Plan(
        worker,
        from_manifest(manifest),
        settings,
        None,
        name,
        source,
        models,
        manifest.only_for_serve,
        shown_model=name,
    )


def _default_model() -> tuple[str, str]:
    """The model to take where nobody names one, and the reason in words."""
    name, said = default_model(), value("model")
    if said.text:
        return name, f"model {name}: set by {said.origin}"
    if name == bundled.DEFAULT_MODEL:
        return name, f"model {name}: bundled, and no classifier of ImageNet is pulled"
    return name, (
        f"model {name}: the most exact classifier of ImageNet that is pulled; "
        f"--model {bundled.DEFAULT_MODEL} names the bundled one"
    )


def find_model(name: str, *, allow_outside: bool = False) -> tuple[str, ModelSource, Classify]:
    """A model given as `[NAME=]` and a file, a folder, or the name of a bundled or pulled one:
    the name that guests load it by, its bytes, and its settings from the manifest beside it. Unless
    `allow_outside`, only what was named itself may be a link that leads out of its folder.

    Raises:
        BadModel: there is none, or it cannot be read.
    """
    name, source, manifest = described_model(name, allow_outside=allow_outside)
    return name, source, (manifest.classify if manifest is not None else None) or Classify()


def described_model(
    name: str, *, allow_outside: bool = False
) -> tuple[str, ModelSource, Manifest | None]:
    """As `find_model`, with the whole manifest beside the model, if there is one."""
    path = Path(name)
    given, equals, rest = name.partition("=")
    if given and equals and rest and not exists(path):
        return given, *described_model(rest, allow_outside=allow_outside)[1:]
    if not exists(path) and path.name == name:
        return model_of_name(name)
    return _model_at(path, allow_outside=allow_outside)


def model_of_name(name: str) -> tuple[str, ModelSource, Manifest | None]:
    """A bundled or pulled model, as `described_model` has it. Raises BadModel."""
    path = bundled.model(name)
    if path is None:
        from wasmlrun.models import store  # only here: files and the bundled model need none

        return store.default().described(name)
    return _model_at(path)


def _model_at(
    path: Path, *, allow_outside: bool = False
) -> tuple[str, ModelSource, Manifest | None]:
    if is_dir(path):
        path = path.absolute()
        folder, beside = path, path / f"{path.name}.toml"
    else:
        folder, beside = path.parent, path.with_suffix(".toml")
    manifest = None
    if is_file(beside):
        manifest = _read(beside, allow_outside=allow_outside, within=folder)
    demand = manifest.trust if manifest is not None else None
    source = replace(read_model(path, allow_outside=allow_outside), demand=demand)
    return path.stem if not is_dir(path) else path.name, source, manifest


def preloaded(manifest: Manifest) -> dict[str, ModelSource]:
    """The models of `preload_models` by the names that guests load them by."""
    return {
        preload.name: read_model(
            preload.folder,
            within=manifest.within,
            allow_outside=manifest.within is None,
        )
        for preload in manifest.nn.preload_models
    }


def named_models(texts: Sequence[str], *, allow_outside: bool = False) -> dict[str, ModelSource]:
    """Models given as `[NAME=]FILE`, by name; a file alone goes by its own name."""
    models = {}
    for text in texts:
        name, source, _ = find_model(text, allow_outside=allow_outside)
        models[name] = source
    return models


def models_elsewhere(
    found: Sequence[Named], *, allow_outside: bool = False, absent_too: bool = False
) -> dict[str, ModelSource]:
    """Models that options of other hosts name, by name. With `absent_too` those that are conversed
    with may be files that do not exist: WasmEdge starts the guest, and then tells it.

    Raises:
        BadModel: one cannot be read, or is of another encoding than is said.
    """
    models = {}
    for one in found:
        kind = one.encoding
        if absent_too and kind is not None and kind.format.converses and not exists(one.path):
            models[one.name] = ModelSource(kind, (), one.target, (one.path,))
            continue
        source = read_model(one.path, allow_outside=allow_outside)
        if one.encoding is not None and source.encoding is not one.encoding:
            raise BadModel(
                f"model {one.path} is said to be {one.encoding.value} "
                f"and is {source.encoding.value}",
                "correct the encoding, or say autodetect",
            )
        models[one.name] = replace(source, target=one.target)
    return models


def _mounted_model(guest_path: str, manifest: Manifest) -> ModelSource:
    """The model that the guest will find at a path in a mounted folder."""
    path = _on_host(guest_path, manifest)
    if not exists(path):
        raise BadModel(
            f"model {path} does not exist ({guest_path} to the worker)",
            f"put it there, or correct classify.model in {manifest.path}",
        )
    return read_model(path, within=manifest.within, allow_outside=manifest.within is None)


def _on_host(guest_path: str, manifest: Manifest) -> Path:
    """The host's file of a guest path in a mounted folder."""
    wanted = PurePosixPath(guest_path)
    if ".." in wanted.parts:
        raise BadManifest(f"{manifest.path}: classify.model must not contain ..")
    best: tuple[Mount, PurePosixPath] | None = None
    for mount in manifest.folders:
        root = PurePosixPath(mount.guest)
        if wanted.is_relative_to(root) and (
            best is None or len(root.parts) > len(PurePosixPath(best[0].guest).parts)
        ):
            best = mount, wanted.relative_to(root)
    if best is None:
        known = ", ".join(m.guest for m in manifest.folders) or "none"
        raise BadManifest(
            f"{manifest.path}: classify.model = {guest_path!r} is in no mounted folder "
            "and names no preloaded model",
            f"mounted folders: {known}",
        )
    return best[0].host.joinpath(*best[1].parts)


def _is_bundled(worker: Path) -> bool:
    return worker == bundled.worker(worker.stem)


def _read(path: Path, *, allow_outside: bool, within: Path | None = None) -> Manifest:
    """Raises BadManifest for one that cannot be read."""
    from wasmlrun.manifest.reader import read_manifest  # most command lines have none

    return read_manifest(path, allow_outside=allow_outside, within=within)
