"""From what `infer` is told to what will run: worker, model, settings, everything checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wasmlrun.inference.settings import Settings, read_settings
from wasmlrun.manifest.grant import Grant, from_manifest, with_writable
from wasmlrun.manifest.manifest import Classify, Manifest
from wasmlrun.manifest.mounts import parse_mounts
from wasmlrun.pipeline.plan import (
    Plan,
    Wishes,
    described_model,
    find_manifest,
    find_worker,
    interpreted,
    model_of_name,
    models_elsewhere,
    preloaded,
)
from wasmlrun.pipeline.trusted import with_gate
from wasmlrun.support import bundled
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import BadManifest, UsageFault
from wasmlrun.support.limits import Limits, lowered, raised, with_limits
from wasmlrun.support.paths import exists
from wasmlrun.support.records import NOTHING, Record, replace

if TYPE_CHECKING:
    from wasmlrun.pipeline.foreign import Named
    from wasmlrun.support.model_source import ModelSource


class InferWishes(Record):
    """The command line of `infer` as far as it decides what runs."""

    worker: str | None = None
    manifest: Path | None = None
    model: str | None = None
    labels: Path | None = None
    kind: str | None = None
    """Of output."""
    chosen: Sequence[str] = ()
    """`KEY=VALUE` each, keys of `[infer]`."""
    writable: Sequence[str] = ()
    dirs: Sequence[str] = ()
    arguments: Sequence[str] = ()
    allow_outside: bool = False
    limits: Mapping[str, Any] = NOTHING
    elsewhere: Sequence[Named] = ()
    trusted_keys: Sequence[str] = ()
    trusted_worker: bool = False
    cache: Cache | None = None


class InferPlan(Record):
    """What will run, and what its answer becomes."""

    plan: Plan
    settings: Settings


def plan_inference(wishes: InferWishes) -> InferPlan:
    """Find and check everything that the command names.

    Raises:
        WasmlrunError: of the kind of the first thing that is wrong.
    """
    worker = find_worker(wishes.worker or bundled.INFER_WORKER)
    named = Wishes(wishes.worker, wishes.manifest, allow_outside=wishes.allow_outside)
    manifest = find_manifest(named, worker)
    shown, name, source, beside, models = _model(wishes, manifest)
    # without a worker's manifest the command line is the grant
    own = manifest if wishes.worker is not None else None
    grant = from_manifest(own) if own is not None else Grant(nn=True)
    if own is None and manifest is not None and manifest.nn.enabled:
        nn = from_manifest(manifest)
        grant = replace(
            grant, allowed_backends=nn.allowed_backends, allowed_models=nn.allowed_models
        )
    if manifest is not None:
        grant = replace(grant, demand=manifest.trust)
    grant = with_writable(
        replace(grant, mounts=parse_mounts(wishes.dirs, grant.mounts)), wishes.writable
    )
    models |= models_elsewhere(wishes.elsewhere, allow_outside=wishes.allow_outside)
    grant = with_gate(
        grant,
        [*models.values(), source],
        wishes.trusted_keys,
        worker=wishes.trusted_worker,
        cache=wishes.cache,
    )
    worker, grant = interpreted(worker, grant)
    asked = manifest.limits if manifest is not None else {}
    settings = read_settings([beside, manifest], wishes.chosen, wishes.kind, wishes.labels)
    return InferPlan(
        Plan(
            worker,
            grant,
            Classify(),
            None,
            name,
            source,
            models,
            arguments=wishes.arguments,
            limits=with_limits(lowered(Limits(), asked), wishes.limits),
            raised=tuple(raised(Limits(), asked)),
            shown_worker=wishes.worker or bundled.INFER_WORKER,
            shown_model=shown,
        ),
        settings,
    )


def _model(
    wishes: InferWishes, manifest: Manifest | None
) -> tuple[str, str, ModelSource, Manifest | None, dict[str, ModelSource]]:
    """The model: what it was called, its name for guests, its bytes, its own manifest; and all
    that guests may load.
    """
    models = preloaded(manifest) if manifest is not None else {}
    shown = wishes.model or (wishes.elsewhere[0].words if wishes.elsewhere else None)
    if shown is not None:
        found = described_model(shown, allow_outside=wishes.allow_outside)
    elif manifest is not None and (manifest.infer or {}).get("model") is not None:
        shown, found = _named_by(manifest, allow_outside=wishes.allow_outside)
    elif len(models) == 1:
        (shown,) = models
        found = shown, models[shown], None
    else:
        raise UsageFault(
            "no model is named", "--model FILE|NAME; wasmlrun models list shows the names"
        )
    name, source, beside = found
    return shown, name, source, beside, {**models, name: source}


def _named_by(
    manifest: Manifest, *, allow_outside: bool
) -> tuple[str, tuple[str, ModelSource, Manifest | None]]:
    """The model that `[infer]` names: a file below the manifest's folder, or a
    model of the shelf by its name.
    """
    named = (manifest.infer or {})["model"]
    if not isinstance(named, str) or not named or "\0" in named:
        raise BadManifest(
            f"{manifest.path}: infer.model must be a file's or a model's name",
            'write model = "face-detection"',
        )
    path = manifest.path.absolute().parent / named
    if "/" not in named and not exists(path):
        return named, model_of_name(named)
    within = manifest.within
    if within is not None and not path.resolve().is_relative_to(within.resolve()):
        raise BadManifest(
            f"{manifest.path}: infer.model leaves the manifest's folder: {named}",
            "if you trust this manifest, say --allow-outside",
        )
    return named, described_model(str(path), allow_outside=allow_outside)
