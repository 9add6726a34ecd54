"""What one guest may touch: the sum of manifest and command line, and nothing besides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from wasmlrun.manifest.manifest import HttpGrant, Manifest, Mount
from wasmlrun.support.errors import BadWorker, UsageFault
from wasmlrun.support.model_source import Demand
from wasmlrun.support.records import NOTHING, Record, replace

if TYPE_CHECKING:
    from wasmlrun.trust.gate import Gate


class Grant(Record):
    """Folders, environment and WASI-NN of a guest."""

    mounts: tuple[Mount, ...] = ()
    environ: Mapping[str, str] = NOTHING
    nn: bool = False
    nhwc_input: bool = False
    layout_said: bool = False
    """Whether somebody said how pictures lie in tensors; else the host may find it out."""
    allowed_backends: tuple[str, ...] = ()
    """The only engines that may be used, the preferred first; none is any."""
    allowed_models: tuple[str, ...] | None = None
    """sha256 of the model files that may be loaded; None is any."""
    demand: Demand | None = None
    """What the manifest demands to be signed."""
    gate: Gate | None = None
    """What models and workers have to pass; None where nobody demands a signature."""
    http: HttpGrant = HttpGrant()
    """Requests that it may send; none unless the command allows it a network."""
    interpreter: bool = False
    """Whether it runs a script: what it imports is not yet what the script uses, so what is not
    granted is refused when it is called."""
    shown: str = ""
    """What the guest is called in messages, where that is not its own file's name."""
    said_by: str = "the command line"
    """Where the user would change it."""


def from_manifest(manifest: Manifest) -> Grant:
    """What a manifest grants."""
    return Grant(
        mounts=manifest.folders,
        environ=manifest.vars,
        nn=manifest.nn.enabled,
        nhwc_input=manifest.nn.input_layout == "nhwc",
        layout_said=manifest.nn.input_layout is not None,
        allowed_backends=manifest.nn.engines,
        allowed_models=manifest.nn.allowed_models,
        demand=manifest.trust,
        said_by=str(manifest.path),
    )


def with_writable(grant: Grant, guest_paths: Iterable[str]) -> Grant:
    """The grant with these mounted folders writable.

    Raises:
        UsageFault: a path that is not mounted.
    """
    mounts = list(grant.mounts)
    for path in guest_paths:
        matching = [i for i, m in enumerate(mounts) if m.guest.rstrip("/") == path.rstrip("/")]
        if not matching:
            known = ", ".join(m.guest for m in mounts) or "none"
            raise UsageFault(
                f"--writable {path}: no folder is mounted there", f"mounted folders: {known}"
            )
        for i in matching:
            mounts[i] = replace(mounts[i], writable=True)
    return replace(grant, mounts=tuple(mounts))


def require_nn(grant: Grant, worker: Path, what: str) -> None:
    """Refuse a worker that imports `what` of WASI-NN without being allowed to. Raises BadWorker."""
    if not grant.nn and not grant.interpreter:
        raise nn_refused(grant, worker, what)


def nn_refused(grant: Grant, worker: Path, what: str) -> BadWorker:
    """The error for a worker that uses `what` of WASI-NN without being allowed to."""
    return BadWorker(
        f"worker {worker} uses WASI-NN ({what}) and {grant.said_by} does not allow it",
        'add to the manifest: [features.wasi_nn] allowed_backends = ["openvino"]'
        if grant.said_by != "the command line"
        else "leave out --no-nn",
    )
