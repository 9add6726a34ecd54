"""Who must have signed what runs: the demands of manifests and command line, made one gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from wasmlrun.manifest.grant import Grant
from wasmlrun.support.cache import Cache
from wasmlrun.support.errors import UsageFault
from wasmlrun.support.model_source import Demand, ModelSource
from wasmlrun.support.records import replace

OPTION = "--trusted-key"


def with_gate(
    grant: Grant,
    models: Iterable[ModelSource],
    keys: Sequence[str] = (),
    *,
    worker: bool = False,
    cache: Cache | None = None,
) -> Grant:
    """The grant with a gate, where a manifest or one of these keys demands signatures. The models
    that are known already have passed it; with `worker` every worker will have to.

    Raises:
        BadModel: a model is not signed as demanded. BadFile: a key is none.
        UsageFault: a worker is to be signed and there is no key, or signatures need a package.
    """
    if worker and not keys:
        raise UsageFault(
            "--trusted-worker: there is no key to trust", f"name one: {OPTION} KEY.pub"
        )
    demands = [grant.demand] if grant.demand is not None else []
    if keys:
        demands.append(Demand(tuple(map(Path, keys)), OPTION, worker))
    models = list(models)
    if not demands and all(model.demand is None for model in models):
        return grant
    from wasmlrun.trust.gate import Gate  # few command lines need it

    gate = Gate(demands, folders=[mount.host for mount in grant.mounts], cache=cache)
    for model in models:
        gate.admit_model(model, f"model {model.files[0] if model.files else 'of bytes'}")
    return replace(grant, gate=gate)
